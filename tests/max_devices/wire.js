// OSC as Max's udpsend writes it: whole numbers i, others f, texts s; and as its udpreceive reads it.
"use strict";

function encode(address, atoms) {
  const tags = atoms.map((atom) => (typeof atom === "string" ? "s" : Number.isInteger(atom) ? "i" : "f")).join("");
  return Buffer.concat([text(address), text(`,${tags}`), ...atoms.map(encode_atom)]);
}

function encode_atom(atom) {
  if (typeof atom === "string") return text(atom);
  const content = Buffer.alloc(4);
  if (Number.isInteger(atom)) content.writeInt32BE(atom);
  else content.writeFloatBE(atom);
  return content;
}

function text(content) {
  const bytes = Buffer.from(content);
  return Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))]);
}

function decode(content) {
  let at = 0;
  const read_text = () => {
    const end = content.indexOf(0, at);
    const found = content.toString("utf8", at, end);
    at = end + 4 - (end % 4);
    return found;
  };
  const address = read_text();
  const tags = read_text().slice(1);
  const atoms = [...tags].map((tag) => {
    if (tag === "s") return read_text();
    at += 4;
    if (tag === "i") return content.readInt32BE(at - 4);
    if (tag === "f") return content.readFloatBE(at - 4);
    throw new Error(`Max knows no OSC type ${tag}`);
  });
  return [address, ...atoms];
}

module.exports = { encode, decode };
