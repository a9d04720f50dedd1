// Short words for what every part of the page does with its elements.

export const element = (id) => document.getElementById(id);

/** A new element; `props` are its properties, children elements or text. */
export function make(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
}

/** Text of a problem or a status; empty text hides a problem. */
export function say(place, text) {
  place.textContent = text;
  if (place.classList.contains("problem")) place.hidden = !text;
}

/** Does something that can be refused, and says so at `place`; gives whether it succeeded. */
export async function attempt(place, action) {
  say(place, "");
  try {
    await action();
    return true;
  } catch (error) {
    say(place, error.message);
    return false;
  }
}

/** Files that are dropped on `place`, the label of a file input, or chosen by the input. */
export function onFile(place, take) {
  const input = place.querySelector("input");
  input.addEventListener("change", () => {
    if (input.files.length) take(input.files[0]);
    input.value = ""; // so that the same file can be chosen again
  });
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    if (event.dataTransfer.files.length) take(event.dataTransfer.files[0]);
  });
}

/** Ask before something cannot be undone; Escape means no. */
export function confirmed(question, yes) {
  const dialog = element("confirm");
  element("confirm-question").textContent = question;
  element("confirm-yes").textContent = yes;
  dialog.returnValue = "";
  element("confirm-yes").onclick = () => dialog.close("yes");
  element("confirm-no").onclick = () => dialog.close();
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}
