// MIDI files in and out. The page's process reads and writes them: the engine's own reader takes what others refuse.

const MOST_BYTES = 4 * 2 ** 20;

export async function clipsIn(file) {
  if (file.size > MOST_BYTES) throw new Error(`${file.name} has more than ${MOST_BYTES >> 20} MiB`);
  const answer = await fetch("midi/clips", { method: "POST", body: await file.arrayBuffer() });
  if (!answer.ok) throw new Error(`${file.name}: ${await answer.text()}`);
  return answer.json();
}

export async function asFile(clip, text = "") {
  const answer = await fetch("midi/file", { method: "POST", body: JSON.stringify({ ...clip, text }) });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.blob();
}

export async function download(clip, name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await asFile(clip, text));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

// Whatever is dropped on a place: a file, or a card of this page, which accept reads first.
export function takeDrops(place, { accept, onFile }) {
  let inside = 0;
  const mark = (by) => { inside = Math.max(0, inside + by); place.classList.toggle("dropping", inside > 0); };
  place.addEventListener("dragenter", (event) => { event.preventDefault(); mark(1); });
  place.addEventListener("dragleave", () => mark(-1));
  place.addEventListener("dragover", (event) => { event.preventDefault(); event.dataTransfer.dropEffect = "copy"; });
  place.addEventListener("drop", (event) => {
    event.preventDefault(); event.stopPropagation();
    inside = 0; mark(0);
    if (accept?.(event.dataTransfer)) return;
    const [file] = event.dataTransfer.files;
    if (file) onFile(file);
  });
}
