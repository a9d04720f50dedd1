// Pictures and archives that are dropped or pasted anywhere on the page: none of them leaves it.
import { element, say } from "./dom.js";
import { looksLikePicture } from "./pictures.js";
import { nextRole, take } from "./swap.js";

const ARCHIVE = /\.(zip|tar|tgz|tar\.gz)$/i;

/** `chooseArchive` is given an archive, for the form of data sets. */
export function startIncoming(chooseArchive) {
  async function receive(files) {
    const pictures = files.filter(looksLikePicture);
    const archive = files.find((file) => ARCHIVE.test(file.name));
    if (archive) {
      chooseArchive(archive);
      element("upload").scrollIntoView({ block: "center" });
      say(element("received"), `${archive.name} is chosen as a data set: press Upload.`);
    }
    const roles = [];
    for (const picture of pictures.slice(0, 2)) {
      const role = pictures.length > 1 ? ["appearance", "structure"][roles.length] : nextRole();
      roles.push(role);
      if (await take(role, picture)) say(element("received"), `${picture.name} is the ${roles.join(", then the ")}.`);
    }
    if (pictures.length > 2) {
      say(element("received"), "The first two pictures were taken; for more of them see “Several at once”.");
    }
    if (!archive && !pictures.length && files.length) {
      say(element("received"), `${files[0].name} is neither a picture nor a zip or tar archive.`);
    }
  }

  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return; // a box has taken it
    event.preventDefault();
    receive([...event.dataTransfer.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return; // text, which goes where the cursor is
    event.preventDefault();
    receive(files);
  });
}
