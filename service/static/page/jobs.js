// Generation jobs: a card for each, followed by events, with what can be done to it.
import { getJson, request } from "./api.js";
import { attempt, confirmed, element, say } from "./dom.js";
import { follow } from "./events.js";
import { offerJobs } from "./compare.js";
import { Composites } from "./composites.js";
import { startResults } from "./results.js";
import { fill } from "./spec.js";
import { counted, duration, number, plain, time } from "./words.js";

const PAGE = 20; // jobs that "Older jobs" adds
const MOST = 1000; // that the API lists at once
// A browser opens six connections to a server, and all its tabs share them.
const FOLLOWED = 2;
const REFRESH_MILLISECONDS = 5000;

const FINAL = new Set(["done", "failed", "cancelled", "expired"]);
const STATES = {
  queued: "Waiting for a worker",
  planning: "Reading the data set",
  running: "Making composites",
  assembling: "Writing manifest and card",
  done: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
  expired: "Expired",
};
const isFinal = (job) => FINAL.has(job.state);

/** Whether there is something to look through. */
const hasComposites = (job) => job.made > 0 && job.state !== "expired";

const cards = new Map(); // by the id of the job
const datasetNames = new Map(); // by id
let wanted = PAGE;
let changes = 0; // counts jobs added and deleted: a list asked for earlier is late
let timer = null;

function titleOf({ spec, name }) {
  if (name) return name;
  const amount = spec.count === null
    ? `${counted(spec.per_identity, "composite")} a person`
    : counted(spec.count, "composite");
  return `${amount} from ${nameOfSource(spec.source)}`;
}

/** Data sets are called what people call them; a job may outlive its own. */
function nameOfSource({ dataset, folder }) {
  return datasetNames.get(dataset) ?? dataset ?? folder;
}

function aboutOf({ id, spec, created, name }) {
  const { layout, picture_format: pictures } = spec.output;
  const scene = spec.scene ? `, scene ${spec.scene === "keep" ? "kept" : "generated"}` : "";
  const of = name ? `from ${nameOfSource(spec.source)}; ` : "";
  return `${time(created)}; ${of}pairing ${plain(spec.pairing)}${scene}, seed ${spec.seed}, `
    + `layout ${layout}, ${pictures}; ${id}`;
}

function countsOf(job) {
  const parts = [];
  if (job.planned) parts.push(`${number(job.made)} of ${number(job.planned)} made`);
  if (job.kept) parts.push(`${number(job.kept)} kept`);
  for (const [reason, count] of Object.entries(job.dropped)) {
    parts.push(`${number(count)} dropped (${plain(reason)})`);
  }
  if (job.unreadable) parts.push(counted(job.unreadable, "unreadable picture"));
  if (!isFinal(job)) {
    if (job.rate !== null) parts.push(`${number(job.rate)} a second`);
    if (job.eta_seconds !== null) parts.push(`about ${duration(job.eta_seconds)} left`);
  }
  if (job.state === "done" && job.expires) parts.push(`on the server until ${time(job.expires)}`);
  if (job.state === "expired") parts.push("its files were removed");
  return parts.join(", ");
}

/** The card of one job; `show` brings it up to date. */
class Card {
  constructor(job) {
    this.root = element("job-template").content.firstElementChild.cloneNode(true);
    this.part = (name) => this.root.querySelector(`[data-part="${name}"]`);
    this.follower = null;
    this.lastEvent = null;
    this.job = null;
    this.hasResults = false;
    this.part("title").id = `title-${job.id}`;
    for (const button of this.root.querySelectorAll("button")) {
      button.setAttribute("aria-describedby", this.part("title").id);
    }
    this.part("cancel").addEventListener("click", () => this.act("cancel"));
    this.part("resume").addEventListener("click", () => this.act("resume"));
    this.part("delete").addEventListener("click", () => this.remove());
    this.part("again").addEventListener("click", () => edit(this.job));
    this.composites = null;
    this.part("browse").addEventListener("toggle", () => this.browse());
    this.part("refresh").addEventListener("click", () => this.composites.start());
    this.part("person").setAttribute("list", `persons-${job.id}`);
    this.part("person-list").id = `persons-${job.id}`;
    this.show(job);
  }

  show(job) {
    const before = this.job;
    if (before && Date.parse(job.updated) < Date.parse(before.updated)) return; // late
    this.job = job;
    const { part } = this;
    part("title").textContent = titleOf(job);
    part("about").textContent = aboutOf(job);
    part("state").textContent = STATES[job.state];
    part("state").className = `badge ${job.state}`;
    part("counts").textContent = countsOf(job);
    part("spec").textContent = JSON.stringify(job.spec, null, 2);
    this.showBar();
    this.part("browse").hidden = !hasComposites(job);
    this.part("refresh").hidden = isFinal(job);
    if (before?.state !== job.state) {
      say(part("error"), job.error === null ? "" : `${job.error.title}: ${job.error.detail}`);
      this.part("stage").textContent = job.error === null ? "" : job.error.title;
      this.showActions();
      this.showResults();
      if (before) say(element("jobs-news"), `${titleOf(job)}: ${STATES[job.state]}`);
      // Whoever waited for it wants to see it.
      if (before && job.state === "done") part("results").open = true;
    }
  }

  showBar() {
    const bar = this.part("bar");
    bar.hidden = this.job.state === "done" || this.job.state === "expired"
      || (isFinal(this.job) && this.job.planned === 0);
    if (this.job.planned) bar.value = this.job.made / this.job.planned;
    else bar.removeAttribute("value"); // moves to and fro
  }

  showActions() {
    const focused = document.activeElement;
    const { state } = this.job;
    this.part("cancel").hidden = isFinal(this.job);
    this.part("resume").hidden = state !== "failed" && state !== "cancelled";
    // A button that vanishes would take the keyboard's place on the page along.
    if (focused.hidden && this.root.contains(focused)) this.part("title").focus();
  }

  showResults() {
    const done = this.job.state === "done";
    this.part("results").hidden = !done;
    if (done && !this.hasResults) {
      this.hasResults = true;
      startResults(this.part, this.job);
    }
  }

  /** Once it is opened; afterwards when it is opened again with more to see. */
  browse() {
    if (!this.part("browse").open) return;
    if (this.composites === null) this.composites = new Composites(this.part, this.job);
    else if (!isFinal(this.job)) this.composites.start();
  }

  /** Follow the events, or stop that. */
  follow(wished) {
    if (wished && this.follower === null) {
      const follower = new AbortController();
      this.follower = follower;
      follow(this.job, {
        after: this.lastEvent,
        signal: follower.signal,
        isFinal,
        onJob: (job, id) => {
          this.lastEvent = id;
          say(element("jobs-problem"), "");
          this.show(job);
        },
        onTrouble: (error) => say(element("jobs-problem"), error.message),
      }).finally(() => {
        if (this.follower === follower) this.follower = null;
        if (isFinal(this.job)) followSome(); // there is room for another one
      });
    } else if (!wished) {
      this.follower?.abort();
      this.follower = null;
    }
  }

  async act(leaf) {
    await attempt(this.part("refusal"), async () => {
      this.show(await getJson(`/v1/jobs/${this.job.id}/${leaf}`, { method: "POST" }));
      followSome();
    });
  }

  async remove() {
    const question = `Delete the job \u201c${titleOf(this.job)}\u201d and all that it made?`;
    if (!(await confirmed(question, "Delete"))) return;
    await attempt(this.part("refusal"), async () => {
      await request(`/v1/jobs/${this.job.id}`, { method: "DELETE" });
      changes += 1;
      this.follow(false);
      cards.delete(this.job.id);
      this.root.remove();
      element("no-jobs").hidden = cards.size > 0;
      element("jobs-title").focus();
      followSome();
    });
  }
}

/** Events of the newest jobs that are under way; the others are seen in the list. */
function followSome() {
  const underWay = [...cards.values()].filter((card) => !isFinal(card.job));
  const newest = underWay.sort((a, b) => Date.parse(b.job.created) - Date.parse(a.job.created));
  const chosen = new Set(document.hidden ? [] : newest.slice(0, FOLLOWED));
  for (const card of cards.values()) card.follow(chosen.has(card));
}

function put(job) {
  if (cards.has(job.id)) cards.get(job.id).show(job);
  else cards.set(job.id, new Card(job));
  return cards.get(job.id).root;
}

/** The list as it is now; cards that are there stay, with whatever is opened in them. */
async function list() {
  const before = changes;
  const { data, next } = await getJson(`/v1/jobs?limit=${wanted}`);
  if (before !== changes) return;
  say(element("jobs-problem"), "");
  const ids = new Set(data.map((job) => job.id));
  for (const [id, card] of cards) {
    if (ids.has(id)) continue;
    card.follow(false);
    card.root.remove();
    cards.delete(id);
  }
  const roots = data.map(put);
  const shown = [...element("jobs").children];
  // Moving an element would close what is being read, so nothing is moved without need.
  if (roots.some((root, place) => root !== shown[place])) element("jobs").replaceChildren(...roots);
  element("no-jobs").hidden = cards.size > 0;
  element("older").hidden = next === null || wanted >= MOST;
  offerComparison();
  followSome();
}

function offerComparison() {
  const newest = [...cards.values()]
    .filter(({ job }) => hasComposites(job))
    .sort((a, b) => Date.parse(b.job.created) - Date.parse(a.job.created));
  offerJobs(newest.map(({ job }) => ({ job, title: `${titleOf(job)} (${time(job.created)})` })));
}

/** The form with the spec of a job, on the data set that it took. */
async function edit(job) {
  const { dataset, folder } = job.spec.source;
  await chooseDataset({ dataset, folder });
  fill(job.spec);
}

async function refresh() {
  clearTimeout(timer);
  if (document.hidden) return;
  let again = true;
  try {
    await list();
  } catch (error) {
    say(element("jobs-problem"), error.message);
    again = error.status !== 401 && error.status !== 404; // until there is a key; for good
  }
  clearTimeout(timer);
  if (again) timer = setTimeout(refresh, REFRESH_MILLISECONDS);
}

/** Show a job that was just submitted. */
function add(job) {
  changes += 1;
  const isNew = !cards.has(job.id);
  const root = put(job);
  if (isNew) element("jobs").prepend(root);
  element("no-jobs").hidden = true;
  followSome();
}

let chooseDataset = null;

/** Names of data sets, for the titles of jobs. */
function named(sets) {
  for (const { id, name } of sets) if (name) datasetNames.set(id, name);
  for (const card of cards.values()) {
    card.part("title").textContent = titleOf(card.job);
    card.part("about").textContent = aboutOf(card.job);
  }
}

/** `choose` chooses the data set of a source, for a job that is edited. */
export function startJobs(choose) {
  chooseDataset = choose;
  element("older").addEventListener("click", () => {
    wanted = Math.min(wanted + PAGE, MOST);
    refresh();
  });
  // A page that nobody sees holds no connection.
  document.addEventListener("visibilitychange", () => {
    followSome();
    refresh();
  });
  refresh();
  return { add, refresh, named };
}
