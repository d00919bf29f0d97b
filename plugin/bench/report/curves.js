// Rate-distortion curves: one chart per measure, drawn anew for the width it has.

(() => {
  const charts = byId("charts");
  if (!charts) return;
  const hidden = new Set();
  let emphasised = null;

  function svg(tag, attributes, parent) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    if (parent) parent.append(made);
    return made;
  }

  // 1, 2 and 5 times powers of ten within a range; if those are fewer than two, its ends
  function rateTicks(low, high) {
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const factor of [1, 2, 5]) {
        const tick = Number((factor * 10 ** power).toPrecision(6));
        if (tick >= low && tick <= high) ticks.push(tick);
      }
    }
    return ticks.length > 1 ? ticks : [low, high].map((each) => Number(each.toPrecision(2)));
  }

  function valueTicks(low, high) {
    const rough = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= rough);
    const ticks = [];
    for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) {
      ticks.push(Number(tick.toPrecision(10)));
    }
    return ticks;
  }

  function extent(values, pad) {
    let low = Math.min(...values);
    let high = Math.max(...values);
    const margin = (high - low) * pad || Math.abs(high) * 0.05 || 1;
    return [low - margin, high + margin];
  }

  function draw(figure, measure) {
    const plot = figure.querySelector(".plot");
    const width = Math.max(260, plot.clientWidth);
    const height = Math.round(Math.min(300, Math.max(210, width * 0.68)));
    const box = { left: 50, right: width - 12, top: 10, bottom: height - 38 };
    // the range is that of all codecs, so that curves stay where they are when one is switched off
    const all = data.codecs.flatMap((codec) => codec.curves[measure.name] || []);
    const [lowRate, highRate] = extent(all.map((each) => Math.log(each.bpp)), 0.06);
    const [low, high] = extent(all.map((each) => each.value), 0.08);
    const x = (bpp) => box.left + ((Math.log(bpp) - lowRate) / (highRate - lowRate)) * (box.right - box.left);
    const y = (value) => box.bottom - ((value - low) / (high - low)) * (box.bottom - box.top);
    const image = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
    image.setAttribute("aria-label", `${measure.label} over bits per pixel; the figures are in the table above`);
    for (const tick of valueTicks(low, high)) {
      svg("line", { class: "grid", x1: box.left, x2: box.right, y1: y(tick), y2: y(tick) }, image);
      const text = svg("text", { x: box.left - 7, y: y(tick) + 4, "text-anchor": "end" }, image);
      text.textContent = String(tick);
    }
    for (const tick of rateTicks(Math.exp(lowRate), Math.exp(highRate))) {
      svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: box.top, y2: box.bottom }, image);
      const text = svg("text", { x: x(tick), y: box.bottom + 17, "text-anchor": "middle" }, image);
      text.textContent = String(tick);
    }
    svg("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }, image);
    const title = svg("text", { x: (box.left + box.right) / 2, y: height - 4, "text-anchor": "middle" }, image);
    title.textContent = "bits per pixel";
    const points = [];
    data.codecs.forEach((codec, index) => {
      const curve = codec.curves[measure.name] || [];
      if (hidden.has(index) || !curve.length) return;
      const group = svg("g", {}, image);
      if (emphasised !== null && emphasised !== index) group.classList.add("faded");
      group.style.setProperty("--c", `var(--c${codec.colour})`);
      // what misses its target is no point of the curve: for several targets it is the same file
      const path = curve.filter((each) => each.reached).map((each) => `${x(each.bpp)},${y(each.value)}`).join(" ");
      svg("polyline", { class: codec.dashed ? "curve dashed" : "curve", points: path }, group);
      for (const each of curve) {
        const point = { cx: x(each.bpp), cy: y(each.value) };
        svg("circle", { class: each.reached ? "point" : "point hollow", r: 3.5, ...point }, group);
        points.push({ ...point, ...each, codec: index });
      }
    });
    plot.replaceChildren(image);
    figure.points = points;
    figure.viewWidth = width;
  }

  function showNearest(figure, measure, event) {
    const plot = figure.querySelector(".plot");
    figure.querySelector(".tooltip")?.remove();
    const frame = plot.getBoundingClientRect();
    const factor = frame.width / figure.viewWidth;
    let nearest = null;
    let distance = 40;
    for (const point of figure.points) {
      const away = Math.hypot(frame.left + point.cx * factor - event.clientX, frame.top + point.cy * factor - event.clientY);
      if (away < distance) [nearest, distance] = [point, away];
    }
    if (!nearest) return;
    const tip = element("div", "tooltip");
    tip.append(element("b", "", data.codecs[nearest.codec].label));
    const unit = measure.unit ? ` ${measure.unit}` : "";
    tip.append(`${nearest.value.toFixed(measure.digits)}${unit} at ${nearest.bpp.toPrecision(3)} bpp`);
    if (!nearest.reached) tip.append(element("div", "", `target ${nearest.target} not reached`));
    plot.append(tip);
    const left = Math.min(Math.max(0, nearest.cx * factor - tip.offsetWidth / 2), frame.width - tip.offsetWidth);
    const above = nearest.cy * factor - tip.offsetHeight - 10;
    tip.style.left = `${left}px`;
    tip.style.top = `${above < 0 ? nearest.cy * factor + 12 : above}px`;
  }

  const figures = data.measures.filter((measure) => measure.drawn).map((measure) => {
    const figure = element("figure", "chart");
    const caption = element("figcaption", "", `${measure.label}${measure.unit ? `, ${measure.unit}` : ""} `);
    if (measure.better) caption.append(element("span", "", `${measure.better} is better`));
    const plot = element("div", "plot");
    figure.append(caption, plot);
    charts.append(figure);
    for (const kind of ["pointermove", "pointerdown"]) {
      plot.addEventListener(kind, (event) => showNearest(figure, measure, event));
    }
    plot.addEventListener("pointerleave", (event) => {
      // what a finger has tapped stays until the next tap
      if (event.pointerType === "mouse") figure.querySelector(".tooltip")?.remove();
    });
    return [figure, measure];
  });
  const redraw = () => figures.forEach(([figure, measure]) => draw(figure, measure));

  data.codecs.forEach((codec, index) => {
    if (!Object.keys(codec.curves).length) return;
    const button = element("button");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    const swatch = element("i", "swatch");
    paint(swatch, index);
    button.append(swatch, codec.label);
    button.addEventListener("click", () => {
      if (!hidden.delete(index)) hidden.add(index);
      button.setAttribute("aria-pressed", String(!hidden.has(index)));
      emphasised = null;
      redraw();
    });
    const emphasise = (which) => {
      emphasised = which;
      redraw();
    };
    button.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse" && !hidden.has(index)) emphasise(index);
    });
    button.addEventListener("pointerleave", () => emphasise(null));
    byId("legend").append(button);
  });
  let drawnWidth = 0;
  new ResizeObserver(() => {
    if (charts.clientWidth === drawnWidth) return;
    drawnWidth = charts.clientWidth;
    redraw();
  }).observe(charts);
})();
