// What the daemon can do for a device: the names of its models, and the verbs and styles of the one that is chosen, or
// where none is, of those that answer. null: not known yet. Asked for now and then: models come and go.

var LOOK_MS = 10000;
var LOOK_AGAIN_MS = 1000; // where something could not be answered, as while the models warm up

// ask(verb, atoms, done, fail): of osc; styled: the verbs that are asked with a style; changed(): it is known, or new.
function make_offer(ask, styled, changed) {
    var me = { models: null, verbs: null, styles: null };
    var model = "", look = 0, next_look = 0;
    var by_verb = {}; // the styles of the model that answers each where none is chosen

    me.is_known = function () {
        return me.models !== null && me.verbs !== null && me.styles !== null;
    };

    me.can = function (verb) {
        return me.verbs !== null && me.verbs.indexOf(verb) >= 0;
    };

    me.tick = function (time) {
        if (time >= next_look) {
            me.of(model);
        }
    };

    // Whether a style is known to the model that would be asked; where that is not known yet the daemon will tell.
    me.knows = function (style, verb) {
        var list = model ? me.styles : by_verb[verb];
        return !list || list.indexOf(style) >= 0;
    };

    me.of = function (chosen) { // "": none
        if (chosen !== model) {
            me.verbs = me.styles = null;
        }
        model = chosen;
        look += 1;
        next_look = now_ms() + LOOK_MS;
        ask("models", [], answered(look, "models"), later);
        ask("verbs", model ? ["model", model] : ["loaded", 1], answered(look, "verbs"), nothing(look, "verbs"));
        if (model) {
            ask("styles", ["model", model], answered(look, "styles"), nothing(look, "styles"));
        } else {
            ask_styles(look, styled, null);
        }
    };

    function ask_styles(mine, verbs, common) { // those that every model knows which knows any and answers one of the verbs
        if (verbs.length === 0) {
            learn(mine, "styles", common || []);
            return;
        }
        ask("styles", ["verb", verbs[0]], function (one) {
            var is_new = String(by_verb[verbs[0]]) !== String(one.rows);
            by_verb[verbs[0]] = one.rows;
            if (is_new) {
                changed();
            }
            var both = one.rows.filter(function (row) { return common === null || common.indexOf(row) >= 0; });
            ask_styles(mine, verbs.slice(1), one.rows.length ? both : common);
        }, function (code) {
            if (code === "no_model") {
                ask_styles(mine, verbs.slice(1), common);
            } else {
                later();
            }
        });
    }

    function answered(mine, what) {
        return function (one) { learn(mine, what, one.rows); };
    }

    function nothing(mine, what) { // a model that is not there can do nothing
        return function (code) {
            if (code === "no_model") {
                learn(mine, what, []);
            } else {
                later();
            }
        };
    }

    function learn(mine, what, rows) {
        if (mine === look && (me[what] === null || String(me[what]) !== String(rows))) { // else of another choice
            me[what] = rows;
            changed();
        }
    }

    function later() {
        next_look = Math.min(next_look, now_ms() + LOOK_AGAIN_MS);
    }

    return me;
}
