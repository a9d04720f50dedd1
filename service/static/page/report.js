// What the check of a data set says: people, cameras, pictures and whatever is suspicious.
import { make } from "./dom.js";
import { counted, number, plain } from "./words.js";

const SHOWN_PER_RULE = 20;
const COLUMNS = ["pictures", "people", "cameras", "junk", "distractors"];

/** Elements that show `dataset`, as GET /v1/datasets/{id} answers it. */
export function reportOf(dataset) {
  if (dataset.state === "unusable") {
    return [make("p", { className: "problem" }, `This data set is unusable: ${dataset.error}`)];
  }
  if (dataset.report === null) {
    return [make("p", { className: "muted" }, "A worker is checking the pictures\u2026")];
  }
  const { report } = dataset;
  return [make("p", { className: "muted" }, facts(dataset)), table(report), ...findings(report)];
}

function facts({ id, report, ignored }) {
  const spread = ({ min, max }) => (min === max ? number(min) : `${number(min)} to ${number(max)}`);
  const size = report.width === null
    ? "no file is readable"
    : `${spread(report.height)} x ${spread(report.width)} pixels (height x width)`;
  const passedOver = ignored ? `; ${counted(ignored, "other file")} passed over` : "";
  return `${id}, read as ${report.layout}; ${size}${passedOver}.`;
}

function table({ splits, total }) {
  const columns = COLUMNS.slice(0, 3).concat(COLUMNS.slice(3).filter((name) => total[name] > 0));
  const rows = Object.entries(splits).filter(([, counts]) => counts.pictures > 0);
  if (rows.length > 1) rows.push(["all", total]);
  const made = make("table", {},
    make("thead", {}, make("tr", {},
      ...["split", ...columns].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...rows.map(([split, counts]) => make("tr", {},
      make("th", { scope: "row" }, plain(split)),
      ...columns.map((name) => make("td", {}, number(counts[name]))),
    ))),
  );
  return make("div", { className: "scroll" }, made); // six columns are too many for a telephone
}

function findings(report) {
  if (!report.findings.length) {
    return [make("p", { className: "muted" }, "Nothing suspicious was found.")];
  }
  const byRule = new Map();
  for (const finding of report.findings) {
    byRule.set(finding.rule, [...(byRule.get(finding.rule) ?? []), finding]);
  }
  return [...byRule].map(([rule, found]) => make("details", {},
    make("summary", {},
      make("span", { className: `badge ${found[0].severity}` }, found[0].severity),
      ` ${plain(rule)} (${number(found.length)})`),
    make("ul", { className: "findings" },
      ...found.slice(0, SHOWN_PER_RULE).map(({ subject, message }) =>
        make("li", {}, make("b", {}, subject), ` ${message}`)),
      ...(found.length > SHOWN_PER_RULE
        ? [make("li", {}, `and ${number(found.length - SHOWN_PER_RULE)} more`)] : [])),
  ));
}
