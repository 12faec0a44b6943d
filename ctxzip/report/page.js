"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const main = $("main"), tip = $("tip");
  let units = null, at = -1;

  const mode = (value) => {
    main.classList.remove("fold", "hide");
    if (value !== "dim") main.classList.add(value);
    const chosen = document.querySelector(`input[name=mode][value=${value}]`);
    if (chosen) chosen.checked = true;
  };
  const theme = () => {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };
  const show = (unit) => {
    const dropped = unit.closest("del") !== null;
    const state = dropped ? "dropped" : unit.classList.contains("p") ? "protected" : unit.querySelector("del") ? "shortened" : "kept";
    tip.textContent = `${state} · score ${unit.dataset.s}`;
    tip.hidden = false;
    const box = unit.getClientRects()[0] || unit.getBoundingClientRect();
    const top = box.top - tip.offsetHeight - 6;
    tip.style.top = `${top > 40 ? top : box.bottom + 6}px`;
    tip.style.left = `${Math.max(6, Math.min(box.left, innerWidth - tip.offsetWidth - 6))}px`;
  };
  const move = (step) => {
    if (units === null) units = main.getElementsByClassName("u");
    if (!units.length) return;
    if (at >= 0 && units[at]) units[at].classList.remove("here");
    for (let tried = 0; tried < units.length; tried++) {
      at = (at + step + units.length) % units.length;
      const unit = units[at];
      const inside = unit.closest("details:not([open])");
      if (inside || unit.getClientRects().length === 0 && main.classList.contains("hide")) continue;
      unit.classList.add("here");
      unit.scrollIntoView({ block: "center" });
      show(unit);
      return;
    }
  };
  const find = (event) => event.target instanceof Element ? event.target.closest(".u") : null;

  main.addEventListener("mouseover", (event) => { const unit = find(event); if (unit && unit.dataset.s) show(unit); });
  main.addEventListener("mouseout", (event) => { if (find(event)) tip.hidden = true; });
  main.addEventListener("click", (event) => {
    const unit = find(event);
    if (!unit || !unit.dataset.s) return;
    if (units === null) units = main.getElementsByClassName("u");
    if (at >= 0 && units[at]) units[at].classList.remove("here");
    at = Array.prototype.indexOf.call(units, unit);
    unit.classList.add("here");
    show(unit);
  });
  addEventListener("scroll", () => { if (at < 0) tip.hidden = true; }, { passive: true });
  document.querySelectorAll("input[name=mode]").forEach((box) => box.addEventListener("change", () => mode(box.value)));
  $("theme").addEventListener("click", theme);
  if ($("next")) $("next").addEventListener("click", () => move(1));
  if ($("previous")) $("previous").addEventListener("click", () => move(-1));
  if ($("copy")) $("copy").addEventListener("click", async () => {
    const text = $("copy").nextElementSibling;
    try {
      await navigator.clipboard.writeText(text.textContent);
      $("copy").textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(text);
      $("copy").textContent = "Selected: copy it with Ctrl+C";
    }
  });
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio]), textarea, select")) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "t") theme();
    else if (event.key === "d" && $("mode")) {
      const order = ["dim", "fold", "hide"];
      const now = order.find((name) => main.classList.contains(name)) || "dim";
      mode(order[(order.indexOf(now) + 1) % 3]);
    } else if (event.key === "Escape") { tip.hidden = true; if (at >= 0 && units[at]) units[at].classList.remove("here"); at = -1; }
    else return;
    event.preventDefault();
  });
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.doc:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
})();
