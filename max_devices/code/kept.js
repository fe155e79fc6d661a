// What a set keeps of a device beyond its parameters: the names that were chosen in menus, and the clips that were
// stored. [pattr] kept_NAME has each as a list of numbers and names, for Max forgets no symbol; what it says, also when
// Live undoes or recalls, comes back as `kept NAME …`.

var KEPT_FORM = 1; // the first of each list: how to read it
var CLIP_HEAD = 4; // of a clip's list: the form, beats, beats in a bar, tempo; then five numbers for each note
var chosen = {}; // the names, by menu; "" is none
var stored = {}; // the clips, by letter: as the daemon is told them

function choose(menu, name) {
    chosen[menu] = name;
    keep_atoms(menu, name ? [name] : []);
}

function store(letter) {
    var clip = take.source("", live.all);
    stored[letter] = clip;
    keep_atoms(letter, clip.notes.reduce(function (atoms, note) {
        atoms.push(note.pitch, note.start, note.duration, note.velocity, note.mute);
        return atoms;
    }, [clip.beats, clip.beats_per_bar, clip.tempo]));
    say("Stored " + clip.notes.length + " notes in " + letter.toUpperCase() + ".");
}

function keep_atoms(name, atoms) {
    tell("kept_" + name, "list", [KEPT_FORM].concat(atoms));
}

function recall(name, atoms) {
    if (device.menus && device.menus[name] !== undefined) {
        chosen[name] = atoms.length > 1 ? String(atoms[1]) : "";
    } else if (atoms.length < CLIP_HEAD) {
        delete stored[name];
    } else if (!is_as_stored(name, atoms)) {
        stored[name] = clip_of_atoms(atoms);
    }
}

function clip_of_atoms(atoms) {
    var clip = { id: 0, beats: atoms[1], beats_per_bar: atoms[2], tempo: atoms[3], notes: [] };
    for (var i = CLIP_HEAD; i + ATOMS_PER_NOTE <= atoms.length; i += ATOMS_PER_NOTE) {
        clip.notes.push({
            pitch: atoms[i], start: atoms[i + 1], duration: atoms[i + 2], velocity: atoms[i + 3], mute: atoms[i + 4]
        });
    }
    return clip;
}

function is_as_stored(letter, atoms) { // the echo of a clip that was just stored, whose id is known
    return stored[letter] !== undefined && is_same_clip(stored[letter], clip_of_atoms(atoms));
}

function is_same_clip(one, other) {
    return one.beats === other.beats && one.notes.length === other.notes.length &&
        one.notes.every(function (note, i) {
            return note.pitch === other.notes[i].pitch && note.velocity === other.notes[i].velocity &&
                Math.abs(note.start - other.notes[i].start) < SAME;
        });
}

// The letter under which a clip is stored, "" if it is not: nothing is written into A and B by what lies between them.
function letter_of(clip) {
    for (var letter in stored) {
        if (stored[letter].id ? stored[letter].id === clip.id : is_same_clip(stored[letter], clip)) {
            return letter.toUpperCase();
        }
    }
    return "";
}
