// Histograms of a score, of one job or of two over each other.
import { getJson } from "./api.js";
import { attempt, element, make } from "./dom.js";
import { number, plain } from "./words.js";

const [WIDTH, HEIGHT, FOOT] = [600, 180, 22];
const SVG = "http://www.w3.org/2000/svg";
const read = new Map(); // summaries by job

function svg(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const sum = (counts) => counts.reduce((total, count) => total + count, 0);

/** Shares of all composites of a job, so that jobs of different sizes compare. */
function shares({ kept, dropped }) {
  const total = sum(kept) + sum(dropped);
  return kept.map((count, bin) => (count + dropped[bin]) / total);
}

function drawn(histograms) {
  const { lowest, highest, kept } = histograms[0].of;
  const most = Math.max(...histograms.flatMap(({ of }) => shares(of)));
  const step = WIDTH / kept.length;
  const chart = svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT + FOOT}`, role: "img", "aria-label": words(histograms),
  });
  histograms.forEach(({ of }, series) => shares(of).forEach((share, bin) => {
    const high = (share / most) * (HEIGHT - 4);
    chart.append(svg("rect", {
      class: `series-${series}`, x: bin * step + 0.5, y: HEIGHT - high, width: step - 1, height: high,
    }));
  }));
  chart.append(svg("line", { class: "axis", x1: 0, y1: HEIGHT, x2: WIDTH, y2: HEIGHT }));
  for (const [at, anchor] of [[0, "start"], [0.5, "middle"], [1, "end"]]) {
    chart.append(svg("text", { class: "tick", x: at * WIDTH, y: HEIGHT + FOOT - 5, "text-anchor": anchor },
      number(lowest + at * (highest - lowest))));
  }
  return chart;
}

const words = (histograms) => histograms.map(({ title, of }) =>
  `${title}: mean ${of.mean.toFixed(2)} of ${number(sum(of.kept) + sum(of.dropped))}`).join("; ");

async function summaryOf(job) {
  const known = read.get(job.id);
  if (known && known.updated === job.updated) return known.summary;
  const summary = await getJson(`/v1/jobs/${job.id}/composites/summary`);
  read.set(job.id, { updated: job.updated, summary });
  return summary;
}

let jobs = [];

/** Jobs that have made something, `{job, title}`, the newest first. */
export function offerJobs(offered) {
  jobs = offered;
  element("compare").hidden = jobs.length === 0;
  for (const [name, empty] of [["compare-first", null], ["compare-second", "no other"]]) {
    const select = element(name);
    const before = select.value;
    select.replaceChildren(
      ...(empty ? [make("option", { value: "" }, empty)] : []),
      ...jobs.map(({ job, title }) => make("option", { value: job.id }, title)));
    if (jobs.some(({ job }) => job.id === before)) select.value = before;
  }
}

async function compare() {
  const wanted = [element("compare-first").value, element("compare-second").value];
  const picked = wanted.map((id) => jobs.find(({ job }) => job.id === id)).filter(Boolean);
  await attempt(element("compare-problem"), async () => {
    const summaries = await Promise.all(picked.map(({ job }) => summaryOf(job)));
    const scores = [...new Set(summaries.flatMap((summary) => Object.keys(summary.scores)))];
    const charts = scores.map((score) => {
      const found = picked
        .map(({ title }, place) => ({ title, place, of: summaries[place].scores[score] }))
        .filter(({ of }) => of);
      return make("figure", { className: "card" },
        make("figcaption", {}, make("b", {}, plain(score))),
        drawn(found),
        ...found.map(({ title, of, place }) => make("p", { className: "legend" },
          make("span", { className: `swatch series-${place}` }),
          `${title}: mean ${of.mean.toFixed(2)}, ${number(sum(of.kept))} kept, `
          + `${number(sum(of.dropped))} dropped`)));
    });
    element("histograms").replaceChildren(...(charts.length ? charts
      : [make("p", { className: "muted" }, "No scores were recorded of these composites.")]));
  });
}

export function startCompare() {
  element("compare-form").addEventListener("submit", (event) => {
    event.preventDefault();
    compare();
  });
}
