// The form of a generation job: what may be chosen, the spec it stands for, and what is wrong in it.
import { postJson } from "./api.js";
import { element, make, say } from "./dom.js";
import { forDataset, objection, show as estimate } from "./estimate.js";
import { counted, plain } from "./words.js";

let report = null; // of the chosen data set, if it is known
let key = newKey();

const form = () => element("job");

/** One submission has one key: a second try after a broken connection gives the same job. */
function newKey() {
  // crypto.randomUUID would need https.
  return [...crypto.getRandomValues(new Uint32Array(4))].map((word) => word.toString(16)).join("-");
}

/** Offer what the data set allows: splits that have pictures, pairs by camera if cameras are known. */
export function fitTo(newReport = report) {
  report = newReport;
  for (const option of element("split").options) {
    const counts = report?.splits[option.value];
    const people = counts?.pictures ? ` (${counted(counts.people, "person", "people")})` : "";
    option.disabled = report !== null && !counts?.pictures;
    option.textContent = plain(option.value) + people;
  }
  leaveDisabled(element("split"));
  const withCameras = report === null || report.splits[element("split").value]?.cameras > 0;
  for (const option of element("pairing").options) {
    option.disabled = option.value.endsWith("_camera") && !withCameras;
  }
  leaveDisabled(element("pairing"));
  forDataset(report);
}

function leaveDisabled(select) {
  if (select.selectedOptions[0]?.disabled) {
    select.value = [...select.options].find((option) => !option.disabled)?.value;
  }
}

/** The spec as POST /v1/jobs takes it; what is empty is left to the API's defaults. */
function spec() {
  const values = new FormData(form());
  const text = (name) => values.get(name).trim() || undefined;
  const number = (name) => (text(name) === undefined ? undefined : Number(text(name)));
  const filters = [
    "minimum_identity_consistency", "minimum_teacher_confidence", "minimum_realism_percentile",
    "near_duplicates",
  ];
  return {
    name: text("name"),
    source: { dataset: text("dataset"), split: text("split") },
    [text("unit")]: number("amount"),
    pairing: text("pairing"),
    scene: text("scene"),
    seed: number("seed"),
    labels: values.getAll("label").map((label) =>
      label === "teacher_top_k" ? { teacher_top_k: number("top_k") } : label),
    keep: Object.fromEntries(filters.map((name) => [name, number(name)])),
    top_up: number("top_up"),
    output: {
      layout: text("output_layout"),
      picture_format: text("picture_format"),
      quality: number("quality"),
      size: text("size"),
      shard_size: number("shard_size"),
      destination: text("destination"),
    },
  };
}

/** The part of the form that a path of the spec, such as `output.size.0`, is filled in at. */
function fieldOf(path) {
  const fields = [...document.querySelectorAll("[data-field]")];
  for (let name = path; name; name = name.slice(0, Math.max(name.lastIndexOf("."), 0))) {
    const field = fields.find((candidate) => candidate.dataset.field.split(" ").includes(name));
    if (field) return field;
  }
  return null;
}

function clearProblems() {
  say(element("job-problem"), "");
  for (const told of form().parentElement.querySelectorAll("[data-field] > .field-problem")) {
    if (told.id !== "amount-problem") told.remove();
  }
  for (const control of document.querySelectorAll("[data-field] [aria-invalid]")) {
    control.removeAttribute("aria-invalid");
    control.removeAttribute("aria-errormessage");
  }
}

function tellAtField(field, message) {
  const control = field.querySelector("input, select");
  const id = `${control.id || control.name}-refusal`;
  const told = document.getElementById(id) ?? field.appendChild(
    make("p", { className: "field-problem", id, role: "alert" }));
  if (told.textContent.includes(message)) return; // of the other side of a size, too
  told.textContent += told.textContent ? `; ${message}` : message;
  control.setAttribute("aria-invalid", "true");
  control.setAttribute("aria-errormessage", id);
  open(control);
}

function open(control) {
  const details = control.closest("details");
  if (details) details.open = true;
}

function tell(error) {
  const rest = [];
  for (const { field: path, message } of error.fields) {
    const field = fieldOf(path);
    if (field) tellAtField(field, message);
    else rest.push(path ? `${path}: ${message}` : message);
  }
  if (!error.fields.length) say(element("job-problem"), error.message);
  else if (rest.length) say(element("job-problem"), rest.join("; "));
  else say(element("job-problem"), "The job was not submitted: see the marked fields.");
  document.querySelector("[data-field] [aria-invalid=true]")?.focus();
}

const FIELDS = {
  name: "job-name", pairing: "pairing", scene: "job-scene", seed: "seed", top_up: "top-up",
  "source.split": "split", "output.layout": "output-layout",
  "output.picture_format": "picture-format", "output.quality": "quality", "output.size": "size",
  "output.shard_size": "shard-size", "output.destination": "destination",
  "keep.minimum_identity_consistency": "consistency", "keep.minimum_realism_percentile": "realism",
  "keep.minimum_teacher_confidence": "confidence", "keep.near_duplicates": "duplicates",
};

/** Fill the form with the spec of a job, to be changed and sent again. */
export function fill(spec) {
  form().reset();
  clearProblems();
  for (const [path, id] of Object.entries(FIELDS)) {
    const value = path.split(".").reduce((at, name) => at?.[name], spec);
    element(id).value = Array.isArray(value) ? value.join("x") : value ?? "";
  }
  element("unit").value = spec.count === null || spec.count === undefined ? "per_identity" : "count";
  element("amount").value = spec.count ?? spec.per_identity;
  const labels = new Set(spec.labels.map((label) =>
    (typeof label === "string" ? label : Object.keys(label)[0])));
  for (const box of form().querySelectorAll("[name=label]")) box.checked = labels.has(box.value);
  const top = spec.labels.find((label) => label.teacher_top_k);
  if (top) form().elements.top_k.value = top.teacher_top_k;
  for (const details of form().querySelectorAll("details")) {
    details.open = [...details.querySelectorAll("input, select")].some((input) =>
      input.value !== (input.defaultValue ?? input.value));
  }
  key = newKey();
  fitTo();
  element("job").scrollIntoView({ block: "start" });
  element("amount").focus({ preventScroll: true });
  say(element("job-status"), "The form has the job's spec: change it and make the set.");
}

/** `onJob` is given each job that was taken. */
export function startSpec(onJob) {
  element("split").addEventListener("change", () => fitTo());
  for (const kind of ["input", "change"]) {
    form().addEventListener(kind, () => {
      key = newKey();
      estimate();
    });
  }
  // The browser tells at the field what is no number or missing, if only the field can be seen.
  form().addEventListener("invalid", (event) => open(event.target), { capture: true });
  form().addEventListener("submit", async (event) => {
    event.preventDefault();
    if (element("submit").disabled) return;
    clearProblems();
    estimate();
    if (objection()) { // it would be refused
      element("amount").focus();
      return;
    }
    say(element("job-status"), "Submitting\u2026");
    element("submit").disabled = true;
    try {
      const job = await postJson("/v1/jobs", spec(), { "Idempotency-Key": key });
      key = newKey();
      onJob(job);
      say(element("job-status"), "Submitted: it is the first of the jobs below.");
    } catch (error) {
      say(element("job-status"), "");
      tell(error);
    } finally {
      element("submit").disabled = false;
    }
  });
}
