// What Live undoes as one. Knows nothing of what is done.

var undo = (function () {
    var me = {};
    var is_open = false; // whether a step is, that more is to come into

    // One undo step, where this Live can; what edits in place is one call anyway. Live does not count who begins and
    // ends one: what somebody left open ends first. goes_on: more comes into it, see me.rest.
    me.step = function (action, goes_on) {
        var song = new LiveAPI("live_set"), can = song.info.indexOf("begin_undo_step") >= 0;
        if (can && !(goes_on && is_open)) {
            song.call("end_undo_step");
        }
        if (can) {
            song.call("begin_undo_step");
        }
        is_open = can && goes_on === true;
        try {
            action();
        } catch (error) {
            goes_on = false; // what is refused leaves no step open: it would take in what others do
            throw error;
        } finally {
            if (can && !goes_on) {
                is_open = false;
                song.call("end_undo_step");
            }
        }
    };

    me.rest = function () { // what comes next is another undo step
        if (is_open) {
            is_open = false;
            new LiveAPI("live_set").call("end_undo_step");
        }
    };

    return me;
})();
