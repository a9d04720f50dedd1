// How alike pictures are to the model: the cosine of their embeddings.
import { getJson } from "./api.js";

/** Cosines of the first picture with each of the others. */
export async function similarities([first, ...others], signal) {
  const body = new FormData();
  for (const picture of [first, ...others]) body.append("files", picture);
  const { data } = await getJson("/v1/embeddings", { method: "POST", body, signal });
  const [own, ...theirs] = data.map(({ embedding }) => embedding);
  // They have unit length.
  return theirs.map((one) => one.reduce((sum, value, index) => sum + value * own[index], 0));
}
