// The cards of the models that are served: what they are, what they were trained on, their figures.
import { getJson } from "./api.js";
import { attempt, element, make } from "./dom.js";
import { counted, number, plain } from "./words.js";

const DIGITS = 4;

function shown(value) {
  if (value === null) return "\u2013";
  if (typeof value === "number") {
    return Number.isInteger(value) ? number(value) : String(Number(value.toPrecision(DIGITS)));
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  return String(value);
}

/** Names and values of nested objects, with the path of each. */
function* flat(value, path = []) {
  if (Array.isArray(value) && value.every((one) => typeof one !== "object")) {
    yield [path, value.map(shown).join(", ")];
  } else if (value !== null && typeof value === "object") {
    for (const [name, inner] of Object.entries(value)) yield* flat(inner, [...path, name]);
  } else {
    yield [path, shown(value)];
  }
}

function facts(rows) {
  return make("div", { className: "scroll" }, make("table", { className: "facts" }, make("tbody", {},
    ...rows.map(([name, value]) => make("tr", {},
      make("th", { scope: "row" }, name), make("td", {}, value))))));
}

function part(title, value) {
  const rows = [...flat(value)].map(([path, text]) => [path.map(plain).join(", ") || title, text]);
  if (!rows.length) return [];
  return [make("details", {}, make("summary", {}, title), facts(rows))];
}

function cardOf(model) {
  const { metrics, data, sha256, ...rest } = model.card;
  const size = `${number(model.height)} x ${number(model.width)} pixels (height x width)`;
  return make("article", { className: "card model" },
    make("h3", {}, model.id),
    facts([
      ["version", model.version],
      ["composites", size],
      ["embedding", counted(model.embedding_size, "number")],
      ["scene", model.scenes.map((scene) => (scene === "keep" ? "kept" : "generated")).join(" or ")],
      ["workers", `${model.ready_workers} of ${model.live_workers} ready`],
      ...(data?.license ? [["license of the training data", data.license]] : []),
      ...(sha256 ? [["sha256", sha256]] : []),
    ]),
    ...part("Training data", data ?? {}),
    ...Object.entries(metrics ?? {}).flatMap(([name, figures]) =>
      part(`Figures: ${plain(name)}`, figures)),
    ...part("Everything else on the card", rest));
}

export async function showModels() {
  await attempt(element("models-problem"), async () => {
    const { data } = await getJson("/v1/models");
    element("model-cards").replaceChildren(...data.map(cardOf));
    element("no-models").hidden = data.length > 0;
  });
}
