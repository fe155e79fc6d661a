// What @magenta/music makes of a published checkpoint. One JSON object on stdin, one on stdout.
//
// {folder, notes, steps, heard, chords, z} -> {read, mu, decoded, sequences}: reads the notes of a NoteSequence, of so
// many steps a quarter or else in seconds, encodes what is heard, and decodes each z at no temperature.
// {folder, z, seconds} -> {seconds}: decodes the first z again and again for so long, and answers the times.
const { createServer } = require("node:http");
const { createRequire } = require("node:module");
const fs = require("node:fs");
const path = require("node:path");

const installed = createRequire(path.join(process.argv[2], "index.js"));
console.log = console.warn = console.info = () => {}; // the library speaks there; stdout is for the answer
const { MusicVAE } = installed("@magenta/music/node/music_vae");
const { NoteSequence } = installed("@magenta/music/node/protobuf");
const tf = installed("@tensorflow/tfjs");

/** A checkpoint's files on the loopback, which is all the library can fetch from. */
function serve(folder) {
  const server = createServer((request, response) => response.end(fs.readFileSync(path.join(folder, request.url))));
  return new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(server)));
}

async function answer({ folder, notes, steps, heard, chords, z, seconds }) {
  const server = await serve(folder);
  const model = new MusicVAE(`http://127.0.0.1:${server.address().port}`);
  await model.initialize();
  server.close();
  const control = chords ? { chordProgression: chords } : undefined;
  if (seconds) return { seconds: await times(model, tf.tensor2d(z.slice(0, 1)), control, seconds) };
  const told = {};
  if (notes) {
    const sequence = NoteSequence.create({
      notes: notes.map((note) => NoteSequence.Note.create(note)), // fromObject would make 64 bit numbers of the steps
      tempos: [{ time: 0, qpm: 120 }],
      quantizationInfo: steps && { stepsPerQuarter: steps },
      totalQuantizedSteps: model.dataConverter.totalSteps || model.dataConverter.numSteps,
    });
    told.read = model.dataConverter.toTensor(sequence).arraySync();
  }
  if (heard) told.mu = (await model.encodeTensors(tf.tensor3d(heard), control)).arraySync();
  if (z) {
    const decoded = await model.decodeTensors(tf.tensor2d(z), undefined, control);
    told.decoded = decoded.arraySync();
    told.sequences = [];
    for (const rows of tf.unstack(decoded)) {
      const sequence = await model.dataConverter.toNoteSequence(rows, steps, 120);
      told.sequences.push(sequence.toJSON().notes || []);
    }
  }
  return told;
}

/** How long each decoding took, in seconds, the first one not counted. */
async function times(model, z, control, seconds) {
  const taken = [];
  for (const until = performance.now() + 1000 * seconds; taken.length < 2 || performance.now() < until; ) {
    const before = performance.now();
    (await model.decodeTensors(z, undefined, control)).dataSync();
    taken.push((performance.now() - before) / 1000);
  }
  return taken.slice(1);
}

answer(JSON.parse(fs.readFileSync(0, "utf8"))).then(
  (told) => process.stdout.write(JSON.stringify(told), () => process.exit(0)),
  (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(1);
  },
);
