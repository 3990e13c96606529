"use strict";
(() => {
  const read = name => {
    const found = document.getElementById(`${name}-data`);
    return found && JSON.parse(found.textContent);
  };

  // Menus that choose among views. A combination that does not exist gives way to the one most like it.
  function menus(name, views, show) {
    const root = document.querySelector(`[data-for="${name}"]`);
    if (!root) return;
    const controls = [...root.querySelectorAll("[data-menu]")].map(element => ({
      key: element.dataset.menu,
      get value() { return element.value ?? element.querySelector("input:checked").value; },
      set value(wanted) {
        if (element.tagName === "SELECT") element.value = wanted;
        else element.querySelectorAll("input").forEach(input => { input.checked = input.value === wanted; });
      },
      element,
    }));
    controls.forEach(changed => changed.element.addEventListener("change", () => {
      const likeness = view => controls.filter(other => view.keys[other.key] === other.value).length;
      const possible = views.filter(view => view.keys[changed.key] === changed.value);
      const best = possible.reduce((one, other) => likeness(other) > likeness(one) ? other : one);
      controls.forEach(control => { control.value = best.keys[control.key]; });
      show(best);
    }));
  }

  // plotly.js would offer to upload a chart to its makers' server: this file talks to nobody.
  const options = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  for (const name of ["curves", "thresholds", "scores"]) {
    const content = read(name);
    if (!content) continue;
    const plot = document.getElementById(name);
    Plotly.newPlot(plot, content.data, content.layout, options);
    menus(name, content.views, view => Plotly.update(
      plot, { x: view.x, y: view.y, customdata: view.customdata },
      { "yaxis.title.text": view.title, "yaxis.range": view.range }));
    window.addEventListener("beforeprint", () => Plotly.relayout(plot, { width: 960 }));
    window.addEventListener("afterprint", () => Plotly.relayout(plot, { width: null, autosize: true }));
  }

  const grids = [...document.querySelectorAll("figure.grid")];
  menus("grids", grids.map(grid => ({ keys: { seed: grid.dataset.seed } })), view =>
    grids.forEach(grid => { grid.hidden = grid.dataset.seed !== view.keys.seed; }));

  const outputs = read("overlays");
  if (outputs) {
    const place = document.getElementById("overlays");
    const frame = document.getElementById("frame");
    const draw = view => place.replaceChildren(...view.frames.map(content => {
      const part = frame.content.cloneNode(true);
      part.querySelector("h3").textContent = `${content.split} · frame ${content.frame} · ${content.name}`;
      part.querySelector(".note").textContent = content.note;
      for (const kind of ["image", "given", "output", "over", "truth"])
        part.querySelectorAll(`img.${kind}`).forEach(image => {
          if (content[kind] === null) image.closest("figure").remove();
          else image.src = outputs.images[content[kind]];
        });
      return part;
    }));
    draw(outputs.views[0]);
    menus("overlays", outputs.views, draw);
  }
})();
