// Data sets: pick one, see its check, upload an archive, register a folder, delete.
import { getJson, postJson, request, upload } from "./api.js";
import { attempt, confirmed, element, make, onFile, say } from "./dom.js";
import { samples } from "./samples.js";
import { reportOf } from "./report.js";
import { fitTo } from "./spec.js";
import { bytes, counted, time } from "./words.js";

const CHECK_AGAIN_MILLISECONDS = 2000;

const SAMPLE_NAME = "Sample people";

let onSets = null; // is told the list
let sets = [];
let archive = null;
let underWay = null; // what stops the upload
let looking = 0; // counts the data sets that were looked at: an answer about an earlier one is late

const chosen = () => element("dataset").value;

function nameOf({ name, origin, folder, files, created }) {
  if (name) return name;
  if (origin === "folder") return `${folder} (folder on the server)`;
  return `${counted(files, "picture")}, uploaded ${time(created)}`;
}

/** Read the list; afterwards `id`, or else what was chosen before, or the newest is chosen. */
async function refresh(id = chosen()) {
  const select = element("dataset");
  try {
    sets = (await getJson("/v1/datasets")).data;
  } catch (error) {
    const absent = error.status === 404; // no volume that workers share, or no bulk extra
    element("generation").hidden = absent;
    element("no-generation").hidden = !absent;
    say(element("dataset-problem"), absent ? "" : error.message);
    return;
  }
  say(element("dataset-problem"), "");
  const none = make("option", { value: "" }, "None yet: add one below");
  const options = sets.map((set) => make("option", { value: set.id }, nameOf(set)));
  select.replaceChildren(...(options.length ? options : [none]));
  element("use-samples").hidden = sets.some((set) => set.name === SAMPLE_NAME);
  onSets(sets);
  if (sets.some((set) => set.id === id)) select.value = id;
  await show();
}

/** The check of the chosen data set; comes back until it is done. */
async function show() {
  const id = chosen();
  const mine = ++looking;
  const place = element("report");
  element("delete-dataset").hidden = !id;
  if (!id) {
    place.replaceChildren();
    fitTo(null);
    return;
  }
  let dataset;
  try {
    dataset = await getJson(`/v1/datasets/${id}`);
  } catch (error) {
    if (mine === looking) place.replaceChildren(make("p", { className: "problem" }, error.message));
    return;
  }
  if (mine !== looking) return;
  place.replaceChildren(...reportOf(dataset));
  fitTo(dataset.report);
  if (dataset.state === "checking" || dataset.state === "unchecked") {
    setTimeout(() => mine === looking && show(), CHECK_AGAIN_MILLISECONDS);
  }
}

function choose(file) {
  archive = file;
  element("archive-hint").textContent = file
    ? `${file.name}, ${bytes(file.size)}`
    : "Choose or drop a zip, tar or tar.gz of pictures";
  element("send").disabled = file === null || underWay !== null;
}

const layout = () => element("layout").value || null;
const pattern = () => (layout() === "pattern" && element("pattern").value) || null;

function showSent(share) {
  const bar = element("upload-progress");
  // All was sent: the server unpacks, and a worker looks at the pictures.
  if (share === 1) bar.removeAttribute("value");
  else bar.value = share;
  const text = share === 1 ? "Unpacking and checking\u2026" : "Uploading\u2026";
  if (element("upload-status").textContent !== text) say(element("upload-status"), text);
}

async function send() {
  const query = new URLSearchParams();
  if (layout()) query.set("layout", layout());
  if (pattern()) query.set("pattern", pattern());
  const name = element("dataset-name").value.trim();
  if (name) query.set("name", name);
  await sent(archive, query);
  element("dataset-name").value = "";
}

/** The sample people as a data set, by the way that any archive goes. */
async function useSamples() {
  const { dataset } = await samples();
  const blob = await (await fetch(dataset)).blob();
  await sent(blob, new URLSearchParams({ name: SAMPLE_NAME }));
}

async function sent(archive, query) {
  const { answer, stop } = upload(`/v1/datasets?${query}`, archive, showSent);
  underWay = stop;
  element("send").disabled = true;
  element("stop-upload").hidden = element("upload-progress").hidden = false;
  showSent(0);
  let dataset;
  try {
    dataset = await answer;
  } finally {
    underWay = null;
    element("stop-upload").hidden = element("upload-progress").hidden = true;
    say(element("upload-status"), "");
    choose(archive instanceof File ? archive : null);
  }
  choose(null);
  await added(dataset);
}

async function register() {
  const folder = element("folder").value.trim();
  const name = element("folder-name").value.trim() || null;
  const dataset = await postJson("/v1/datasets", { folder, name, layout: layout(), pattern: pattern() });
  element("folder").value = element("folder-name").value = "";
  await added(dataset);
}

async function added(dataset) {
  await refresh(dataset.id);
  say(element("upload-status"), `Added: ${nameOf(dataset)}.`);
}

async function remove() {
  const id = chosen();
  const name = element("dataset").selectedOptions[0].textContent;
  const question = `Delete ${name}? Of a folder on the server, the pictures stay.`;
  if (!(await confirmed(question, "Delete"))) return;
  await request(`/v1/datasets/${id}`, { method: "DELETE" });
  await refresh();
  element("dataset").focus(); // the button may be gone
}

const trying = (action) => attempt(element("dataset-problem"), action);

/** Choose what a job took: its data set, or the one that is its folder; else nothing changes. */
async function chooseSource({ dataset, folder }) {
  const set = sets.find(({ id }) => id === dataset) ?? sets.find((one) => one.folder === folder);
  if (!set) {
    say(element("dataset-problem"), "The data set of that job is not there any more: choose another.");
    return;
  }
  element("dataset").value = set.id;
  await show();
}

/** `told` is given the list of data sets whenever it was read. */
export function startDatasets(told) {
  onSets = told;
  onFile(element("archive").closest(".drop"), choose);
  element("dataset").addEventListener("change", show);
  element("layout").addEventListener("change", () => {
    element("pattern-field").hidden = layout() !== "pattern";
  });
  element("upload").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!element("send").disabled) trying(send);
  });
  element("use-samples").addEventListener("click", () => trying(useSamples));
  element("stop-upload").addEventListener("click", () => underWay?.());
  element("register").addEventListener("submit", (event) => {
    event.preventDefault();
    trying(register);
  });
  element("delete-dataset").addEventListener("click", () => trying(remove));
  refresh();
  return { refresh, choose, chooseSource };
}
