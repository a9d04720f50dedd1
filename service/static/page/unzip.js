// Files of a zip whose members are stored as they are, as the service writes them.

const END = 0x06054b50;
const END_BYTES = 22;

/** A Map of names to blobs; an Error for any other zip. */
export async function unzip(blob, typeOf) {
  const view = new DataView(await blob.arrayBuffer());
  const end = view.byteLength - END_BYTES;
  if (end < 0 || view.getUint32(end, true) !== END) throw new Error("The answer is no zip.");
  const files = new Map();
  let at = view.getUint32(end + 16, true);
  for (let left = view.getUint16(end + 10, true); left > 0; left -= 1) {
    const [method, size] = [view.getUint16(at + 10, true), view.getUint32(at + 24, true)];
    const [name, extra, comment] = [28, 30, 32].map((place) => view.getUint16(at + place, true));
    const local = view.getUint32(at + 42, true);
    if (method !== 0) throw new Error("The answer is a zip of another kind.");
    const text = new TextDecoder().decode(new Uint8Array(view.buffer, at + 46, name));
    const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
    files.set(text, blob.slice(start, start + size, typeOf(text)));
    at += 46 + name + extra + comment;
  }
  return files;
}
