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
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const tell = (time) => {
  const seconds = (new Date(time.dateTime) - Date.now()) / 1000;
  if (Math.abs(seconds) > 30 * 86400) return;
  const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["minute", 60];
  time.title ||= time.textContent;
  time.textContent = Math.abs(seconds) < 60 ? (seconds < 0 ? "just now" : "in less than a minute") : words.format(Math.round(seconds / length), unit);
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

// Dialogs: a link or button with data-dialog opens one in place of the page that it leads to.
each("[data-dialog]", (opener) => {
  const dialog = document.getElementById(opener.dataset.dialog);
  if (!dialog) return;
  opener.addEventListener("click", (event) => {
    event.preventDefault();
    dialog.showModal();
    dialog.addEventListener("close", () => opener.focus(), { once: true });
  });
  dialog.querySelectorAll("[data-close]").forEach((button) => button.addEventListener("click", () => dialog.close()));
});
