// What is nicer with a script: copying, times as people say them, the look, and filters that apply themselves.
// Every page works without it.

const each = (selector, act) => document.querySelectorAll(selector).forEach(act);

// Copying. The button says "Copied" only after the browser did it; else the text is selected for the keyboard.
each("[data-copy]", (button) => {
  button.hidden = false;
  const source = document.getElementById(button.dataset.copy);
  const said = button.parentElement.querySelector("[data-copied]");
  button.addEventListener("click", async () => {
    const text = "value" in source ? source.value : source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "Copied";
    } catch {
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
      said.textContent = "Press Ctrl+C to copy";
    }
    setTimeout(() => { said.textContent = ""; }, 5000);
  });
});
each("[data-select]", (field) => field.addEventListener("focus", () => field.select()));

// Times: the exact one stays in the title.
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en");
const tell = (time) => {
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  if (Math.abs(seconds) > 30 * 86400) return;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["minute", 60];
  // What was given seven days a moment ago has seven, not six and some hours.
  const whole = Math.trunc((seconds > 0 ? seconds + 59 : seconds) / length);
  time.title ||= time.textContent;
  time.textContent = Math.abs(seconds) < 60 ? (seconds < 0 ? "just now" : "in less than a minute") : words.format(whole, unit);
};
const tellAll = () => each("time[data-time]", tell);
tellAll();
setInterval(tellAll, 30000);

// The look: as the system says, or the other one.
each("[data-theme-toggle]", (button) => {
  button.hidden = false;
  button.addEventListener("click", () => {
    const root = document.documentElement;
    const isDark = root.dataset.theme === "auto" ? matchMedia("(prefers-color-scheme: dark)").matches : root.dataset.theme === "dark";
    root.dataset.theme = isDark ? "light" : "dark";
    document.cookie = `brevet-theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  });
});

// Menus close with Escape and by a click elsewhere.
each("details[data-menu]", (menu) => {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  });
});

// Filters apply as they are chosen.
each("form[data-auto]", (form) => form.addEventListener("change", () => form.requestSubmit()));

// Questions: the page that a link with data-dialog leads to is asked for and shown in a dialog, in front of this one.
const ask = async (link) => {
  const answer = await fetch(link.href);
  if (!answer.ok || answer.redirected) throw new Error(answer.status);
  const { body } = new DOMParser().parseFromString(await answer.text(), "text/html");
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-labelledby", "question");
  dialog.append(...body.querySelector("main").children);
  dialog.querySelector(".crumbs")?.remove();
  const heading = document.createElement("h2");
  heading.id = "question";
  heading.append(...dialog.querySelector("h1").childNodes);
  dialog.querySelector("h1").replaceWith(heading);
  const keep = dialog.querySelector("[data-close]");
  keep?.addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  // What undoes nothing has the focus first, unless there is something to enter.
  if (keep && !dialog.querySelector("input:not([type=hidden])")) keep.autofocus = true;
  dialog.addEventListener("close", () => { dialog.remove(); link.focus(); });
  document.body.append(dialog);
  dialog.showModal();
  tellAll();
};
each("a[data-dialog]", (link) => link.addEventListener("click", (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  if (!document.querySelector("dialog")) ask(link).catch(() => { location.href = link.href; });
}));
