// VAE Humanize: two dials and a button.

var device = {
    name: "VAE Humanize",
    parameters: { timing: 1, velocity: 1, port: 8711, daemon_port: 8710 },
    buttons: { humanize: humanize, original: original },
    verbs: { humanize: "humanize" },
    displays: ["light", "line", "advice"]
};

function humanize() {
    var clip = take.source("humanize", live.all), how = { button: "humanize", places: live.all(clip) };
    how.seen = take.look(clip, how);
    osc.run({
        verb: "humanize",
        slots: { a: clip },
        named: { slot: "a" },
        atoms: settings(["timing", "velocity"]),
        about: clip.id,
        done: function (results, about) {
            var words = take.offer(clip, results, how);
            say(sentences(["Humanized " + clip.notes.length + " notes.", words, told_of(about)]));
        },
        fail: say
    });
}

function original() {
    say(take.flip());
}
