// What a job would be, before it is sent: how many pairs there are, how large the set becomes.
import { element } from "./dom.js";
import { bytes, counted, number, plain } from "./words.js";

// Bytes a pixel of composites by the weights that ship, measured; what people wear decides the rest.
const BYTES_A_PIXEL = { jpg: 0.55, png: 1.6, webp: 0.3 };
const FULL_QUALITY = 95; // at which these were measured
const ROW_BYTES = 900; // of both manifests

let report = null; // of the chosen data set
let size = null; // of the model, [height, width]

export const forDataset = (newReport) => {
  report = newReport;
  show();
};
export const forModel = (height, width) => {
  size = [height, width];
  show();
};

/** `{all, fewest_of_a_person}` of the chosen split and pairing; null where they are not known. */
function pairs() {
  if (!report?.pairs) return null;
  return report.pairs[element("split").value]?.[element("pairing").value] ?? { all: 0, fewest_of_a_person: 0 };
}

function pixels() {
  const own = /^\s*(\d+)\s*x\s*(\d+)\s*$/.exec(element("size").value);
  const [height, width] = own ? own.slice(1).map(Number) : size ?? [];
  return height ? height * width : null;
}

/** What is wrong with the amount, in words; null if nothing is. */
export function objection() {
  const amount = Number(element("amount").value);
  const there = pairs();
  if (there === null || !Number.isInteger(amount) || amount < 1) return null;
  const each = element("unit").value === "per_identity";
  const most = each ? there.fewest_of_a_person : there.all;
  if (amount <= most) return null;
  if (most === 0) return "These pictures allow no such pairs: choose another split or kind of pairs.";
  return `There are only ${counted(most, "such pair")}${each ? " of the person with the fewest pictures" : ""}: `
    + `ask for at most ${number(most)}.`;
}

export function show() {
  const amount = Number(element("amount").value);
  const there = pairs();
  const parts = [];
  if (there) parts.push(`${counted(there.all, "possible pair")} (${plain(element("split").value)})`);
  const each = element("unit").value === "per_identity";
  const people = report?.splits?.[element("split").value]?.people;
  const total = each ? (people ? amount * people : null) : amount;
  const area = pixels();
  if (total && area && total >= 1) {
    const format = element("picture-format").value;
    const quality = format === "png" ? 1 : 0.35 + 0.65 * (Number(element("quality").value) / FULL_QUALITY) ** 6;
    const set = total * (area * BYTES_A_PIXEL[format] * quality + ROW_BYTES);
    parts.push(`${counted(total, "composite")}, about ${bytes(Number(set.toPrecision(1)))}`);
  }
  element("estimate").textContent = parts.join("; ");
  const wrong = objection();
  element("amount-problem").textContent = wrong ?? "";
  element("amount-problem").hidden = !wrong;
  element("amount").setAttribute("aria-invalid", String(Boolean(wrong)));
}
