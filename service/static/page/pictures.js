// Pictures that people choose, made fit to be sent: upright, not larger than is of use, and in a
// format that the server takes. What no browser reads is refused by name.
import { number } from "./words.js";

const LONGEST_SIDE = 1600; // far above any model's size; a phone's 12 megapixels become 0.3 MB
const MOST_BYTES = 4_000_000;
const QUALITY = 0.95;
const TAKEN = new Set(["JPEG", "PNG", "WebP"]);
const TYPES = ["image/jpeg", "image/png", "image/webp"];

const text = (bytes, from, to) => String.fromCharCode(...bytes.slice(from, to));

/** What the first bytes say: names and media types of files are often wrong. */
function kindOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "JPEG";
  if (text(bytes, 1, 4) === "PNG") return "PNG";
  if (text(bytes, 0, 4) === "RIFF" && text(bytes, 8, 12) === "WEBP") return "WebP";
  if (text(bytes, 4, 8) === "ftyp") {
    const brand = text(bytes, 8, 12);
    if (/^(hei|hev|mif1|msf1)/.test(brand)) return "HEIC";
    if (brand.startsWith("avi")) return "AVIF";
    return "video";
  }
  if (text(bytes, 0, 3) === "GIF") return "GIF";
  if (text(bytes, 0, 2) === "BM") return "BMP";
  if (/^(II\*\0|MM\0\*)/.test(text(bytes, 0, 4))) return "TIFF";
  if (text(bytes, 0, 4) === "%PDF") return "PDF";
  return null;
}

const REFUSED = {
  HEIC: "is a HEIC picture, as iPhones take them, which browsers and this server do not read. "
    + "Save it as JPEG (on the phone: Settings, Camera, Formats, Most Compatible).",
  TIFF: "is a TIFF, which browsers do not read. Save it as JPEG or PNG.",
  PDF: "is a PDF. Save the page as a picture, JPEG or PNG.",
  video: "is a video. Take a single picture of it, as JPEG or PNG.",
};
const NO_PICTURE = "is no picture that can be read. Choose a JPEG, PNG or WebP.";

/** Whether a file may be a picture, as far as it says of itself. */
export const looksLikePicture = (file) =>
  file.type.startsWith("image/") || /\.(jpe?g|png|webp|heic|heif|bmp|gif|avif|tiff?)$/i.test(file.name);

/**
 * `{file, width, height, note}` of what was chosen; the note says what was done to it. Throws an
 * Error in words that go on from the file's name.
 */
export async function prepare(file) {
  const kind = kindOf(new Uint8Array(await file.slice(0, 32).arrayBuffer()));
  if (file.size === 0) throw new Error(`${file.name} is empty.`);
  if (REFUSED[kind]) throw new Error(`${file.name} ${REFUSED[kind]}`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`${file.name} ${NO_PICTURE}`);
  }
  const { width, height } = bitmap;
  const shrunk = Math.min(1, LONGEST_SIDE / Math.max(width, height));
  if (TAKEN.has(kind) && shrunk === 1 && file.size <= MOST_BYTES) {
    bitmap.close();
    return { file, width, height, note: `${width} x ${height} pixels` };
  }
  const made = await drawn(bitmap, shrunk, TYPES[kind === "JPEG" || shrunk < 1 ? 0 : 1]);
  bitmap.close();
  const name = file.name.replace(/\.[^.]*$/, "") + (made.blob.type === TYPES[0] ? ".jpg" : ".png");
  const was = shrunk < 1 ? `${number(width)} x ${number(height)}` : kind ?? "another format";
  return {
    file: new File([made.blob], name, { type: made.blob.type }),
    width: made.width,
    height: made.height,
    note: `${made.width} x ${made.height} pixels, ${shrunk < 1 ? "scaled" : "made"} from ${was}`,
  };
}

/** The upright picture on white: a JPEG has no transparency. */
async function drawn(bitmap, scale, type) {
  const width = Math.max(1, Math.round(bitmap.width * scale));
  const height = Math.max(1, Math.round(bitmap.height * scale));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const paper = canvas.getContext("2d");
  paper.fillStyle = "white";
  paper.fillRect(0, 0, width, height);
  paper.imageSmoothingQuality = "high";
  paper.drawImage(bitmap, 0, 0, width, height);
  const blob = await new Promise((resolve) => {
    canvas.toBlob(resolve, type, QUALITY);
  });
  return { blob, width, height };
}
