"use strict";
// What the other scripts share: the data of the page, colours of codecs, light and dark.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function paint(node, codec) {
  node.style.setProperty("--c", `var(--c${data.codecs[codec].colour})`);
  node.classList.toggle("dashed", data.codecs[codec].dashed);
}

function bytesText(count) {
  return `${count.toLocaleString("en")} bytes`;
}

for (const swatch of document.querySelectorAll(".swatch[data-codec]")) {
  paint(swatch, Number(swatch.dataset.codec));
}

(() => {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const names = { auto: "Auto", light: "Light", dark: "Dark" };
  let chosen = "auto";
  try {
    chosen = localStorage.getItem("diffc-theme") || "auto";
  } catch {
    // a file: page may have no storage
  }
  function apply() {
    if (!(chosen in names)) chosen = "auto";
    const dark = chosen === "dark" || (chosen === "auto" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.textContent = names[chosen];
    const state = chosen === "auto" ? "as the system has them" : chosen;
    button.setAttribute("aria-label", `Colours: ${state}`);
  }
  button.addEventListener("click", () => {
    const other = system.matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"];
    chosen = other[(other.indexOf(chosen) + 1) % other.length];
    try {
      localStorage.setItem("diffc-theme", chosen);
    } catch {
      // then it holds until the page is closed
    }
    apply();
  });
  system.addEventListener("change", apply);
  apply();
})();
