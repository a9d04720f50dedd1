// The composites of one job: filtered, sorted, page by page; one of them with both its sources.
import { getJson, hasKey, request } from "./api.js";
import { attempt, make, say } from "./dom.js";
import { view } from "./viewer.js";
import { number, plain } from "./words.js";

const PAGE = 48;

/** The address of a picture that an <img> can show: a link cannot carry a key. */
async function pictureOf(path) {
  return hasKey() ? URL.createObjectURL(await (await request(path)).blob()) : path;
}

const role = (row, name) => {
  const camera = row[`${name}_camera`];
  return `person ${row[`${name}_person`]}${camera === null ? "" : `, camera ${camera}`}`;
};

function options(select, values) {
  const chosen = select.value;
  select.replaceChildren(...values.map(([value, text]) => make("option", { value }, text)));
  if (values.some(([value]) => value === chosen)) select.value = chosen;
}

/** The browser in the card of a job; `part` finds its elements, `refresh` reads the job anew. */
export class Composites {
  constructor(part, job) {
    this.part = part;
    this.job = job;
    this.address = `/v1/jobs/${job.id}/composites`;
    this.next = null;
    this.asked = 0; // counts the questions: the answer to an earlier one is late
    part("filter").addEventListener("submit", (event) => {
      event.preventDefault();
      this.first();
    });
    part("filter").addEventListener("change", () => this.first());
    part("more").addEventListener("click", () => this.more());
    this.ready = this.start();
  }

  /** Offers what was recorded, then shows the first page. */
  async start() {
    await attempt(this.part("browse-problem"), async () => {
      const summary = await getJson(`${this.address}/summary`);
      const scores = Object.keys(summary.scores).map((name) => [name, plain(name)]);
      const reasons = Object.entries(summary.dropped).map(([name, count]) =>
        [`dropped=${name}`, `dropped: ${plain(name)} (${number(count)})`]);
      options(this.field("fate"), [
        ["", `kept and dropped (${number(summary.composites)})`],
        ["kept=true", `kept (${number(summary.kept)})`],
        ...(reasons.length > 1 ? [["kept=false", "dropped, whatever the reason"]] : []),
        ...reasons,
      ]);
      options(this.field("camera"), [["", "any"], ...summary.cameras.map((one) => [one, one])]);
      options(this.field("score"), [["", "none"], ...scores]);
      options(this.field("sort"), [["position", "place in the plan"], ...scores]);
      this.part("person-list").replaceChildren(
        ...summary.persons.map((person) => make("option", { value: person })));
      await this.first();
    });
  }

  field(name) {
    return this.part("filter").elements[name];
  }

  query() {
    const query = new URLSearchParams(this.field("fate").value);
    for (const name of ["person", "camera", "sort", "order"]) {
      if (this.field(name).value) query.set(name, this.field(name).value);
    }
    const bounded = this.field("score").value;
    for (const bound of ["minimum", "maximum"]) this.field(bound).disabled = !bounded;
    if (bounded) {
      query.set("score", bounded);
      for (const bound of ["minimum", "maximum"]) {
        if (this.field(bound).value) query.set(bound, this.field(bound).value);
      }
    }
    query.set("limit", PAGE);
    return query;
  }

  async first() {
    if (!this.part("filter").checkValidity()) {
      say(this.part("browse-problem"), "A person is a whole number, a bound is a number.");
      return;
    }
    await this.read(`${this.address}?${this.query()}`, true);
  }

  async more() {
    const before = this.part("tiles").children.length;
    await this.read(this.next, false);
    this.part("tiles").children[before]?.querySelector("button").focus();
  }

  async read(address, anew) {
    this.asked += 1;
    const mine = this.asked;
    await attempt(this.part("browse-problem"), async () => {
      const page = await getJson(address);
      if (mine !== this.asked) return;
      const tiles = page.data.map((row) => this.tile(row));
      if (anew) this.part("tiles").replaceChildren(...tiles);
      else this.part("tiles").append(...tiles);
      this.next = page.next;
      this.part("more").hidden = page.next === null;
      const shown = this.part("tiles").children.length;
      say(this.part("found"), page.total === 0
        ? "No composite is like that."
        : `${number(shown)} of ${number(page.total)} shown`);
    });
  }

  tile(row) {
    const sorted = this.field("sort").value;
    const score = sorted === "position" ? Object.keys(row.scores)[0] : sorted;
    const value = score === "kept_share" ? row.kept_share : row.scores[score];
    const button = make("button", { type: "button", className: `tile ${row.kept ? "" : "dropped"}` });
    if (row.kept) {
      const image = make("img", { alt: "", loading: "lazy", width: 64, height: 128 });
      pictureOf(row.links.composite).then((src) => {
        image.src = src;
      }, () => {});
      button.append(image);
    } else {
      button.append(make("span", { className: "reason" }, plain(row.dropped)));
    }
    // What is seen is short; what is read aloud goes on.
    button.append(make("span", { className: "caption" },
      `${row.appearance_person} on ${row.structure_person}`,
      ...(value === undefined || value === null ? [] : [make("br"), value.toFixed(3)])));
    button.append(make("span", { className: "out-of-sight" },
      `, composite ${row.position}: clothes of ${role(row, "appearance")} on ${role(row, "structure")}`));
    button.addEventListener("click", () => this.open(row));
    return make("li", {}, button);
  }

  async open(row) {
    await attempt(this.part("browse-problem"), async () => {
      const places = ["structure", "composite", "appearance"];
      const pictures = await Promise.all(places.map(async (name) => {
        const words = name === "composite" ? "Composite" : `${name[0].toUpperCase()}${name.slice(1)}: ${role(row, name)}`;
        if (row.links[name] === null) {
          return { name: words, missing: `Dropped (${plain(row.dropped)}): its picture was not kept.` };
        }
        try {
          const blob = await (await request(row.links[name])).blob();
          return { name: words, src: URL.createObjectURL(blob) };
        } catch (error) {
          if (error.status !== 404) throw error;
          return { name: words, missing: error.detail };
        }
      }));
      view({
        title: `Composite ${row.position}`,
        pictures,
        details: details(row),
        actions: actions(row),
      });
    });
  }
}

function details(row) {
  const { links, ...columns } = row;
  const scores = Object.entries(row.scores).map(([name, value]) =>
    `${plain(name)} ${value === null ? "not known" : value.toFixed(3)}`);
  const fate = row.kept ? "kept" : `dropped: ${plain(row.dropped)}`;
  return [
    make("p", {}, [fate, ...scores].join("; ")),
    make("details", {}, make("summary", {}, "Its row in the manifest"),
      make("pre", { tabIndex: 0, id: "viewer-row" }, JSON.stringify(columns, null, 1))),
  ];
}

function actions(row) {
  const { links, ...columns } = row;
  const copy = make("button", { type: "button", className: "quiet" }, "Copy its manifest row");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(JSON.stringify(columns));
      copy.textContent = "Copied";
    } catch { // only pages under https or of this machine may
      const place = document.getElementById("viewer-row");
      place.parentElement.open = true;
      getSelection().selectAllChildren(place);
      copy.textContent = "Marked: press Ctrl+C";
    }
  });
  return [copy];
}
