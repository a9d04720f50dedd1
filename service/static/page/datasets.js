// Data sets: pick one, see its check, upload an archive, register a folder, delete.
import { getJson, postJson, request, upload } from "./api.js";
import { attempt, confirmed, element, make, onFile, say } from "./dom.js";
import { reportOf } from "./report.js";
import { fitTo } from "./spec.js";
import { bytes, counted, time } from "./words.js";

const CHECK_AGAIN_MILLISECONDS = 2000;

let archive = null;
let underWay = null; // what stops the upload
let looking = 0; // counts the data sets that were looked at: an answer about an earlier one is late

const chosen = () => element("dataset").value;

function nameOf({ origin, folder, files, created }) {
  if (origin === "folder") return `${folder} (folder on the server)`;
  return `${counted(files, "picture")}, uploaded ${time(created)}`;
}

/** Read the list; afterwards `id`, or else what was chosen before, or the newest is chosen. */
async function refresh(id = chosen()) {
  const select = element("dataset");
  let sets;
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
    choose(archive);
  }
  choose(null);
  await added(dataset);
}

async function register() {
  const folder = element("folder").value.trim();
  const dataset = await postJson("/v1/datasets", { folder, layout: layout(), pattern: pattern() });
  element("folder").value = "";
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

export function startDatasets() {
  onFile(element("archive").closest(".drop"), choose);
  element("dataset").addEventListener("change", show);
  element("layout").addEventListener("change", () => {
    element("pattern-field").hidden = layout() !== "pattern";
  });
  element("upload").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!element("send").disabled) trying(send);
  });
  element("stop-upload").addEventListener("click", () => underWay?.());
  element("register").addEventListener("submit", (event) => {
    event.preventDefault();
    trying(register);
  });
  element("delete-dataset").addEventListener("click", () => trying(remove));
  refresh();
  return { refresh };
}
