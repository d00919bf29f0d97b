// The before/after slider: which two pictures, where the divider is, zoom and place.

(() => {
  const stage = byId("stage");
  if (!stage) return;
  const ORIGINAL = -1;
  const LARGEST = 32;
  const divider = byId("divider");
  const pictures = { left: byId("left-picture"), right: byId("right-picture") };
  const last = data.codecs.length - 1;
  const state = { image: 0, target: data.first.target, left: data.first.left, right: data.first.right, divider: 0.5, scale: 1, x: 0, y: 0, fitted: true };

  const image = () => data.images[state.image];
  const row = (codec) => image().rows[state.target][codec];
  const nameOf = (codec) => (codec === ORIGINAL ? "Original" : data.codecs[codec].label);
  const rawBytes = () => 3 * image().width * image().height;
  const isOver = (found) => Boolean(found && !found.error && !found.reached);
  const cache = new Map();

  function source(codec) {
    const index = codec === ORIGINAL ? image().original : row(codec)?.picture;
    if (index === null || index === undefined) return null;
    if (!cache.has(index)) {
      const text = byId(`picture-${index}`).textContent;
      // the signature of PNG in base64; all others are WebP
      const kind = text.startsWith("iVBORw0KGgo") ? "png" : "webp";
      cache.set(index, `data:image/${kind};base64,${text}`);
    }
    return cache.get(index);
  }

  // --- what is shown -----------------------------------------------------------------------------

  function show() {
    const missing = [];
    for (const side of ["left", "right"]) {
      const codec = state[side];
      const found = source(codec);
      pictures[side].hidden = found === null;
      if (found === null) {
        pictures[side].removeAttribute("src");
        missing.push(`${nameOf(codec)} has no picture here${row(codec)?.error ? `: ${row(codec).error}` : ""}`);
      } else if (pictures[side].getAttribute("src") !== found) {
        pictures[side].src = found;
      }
      pictures[side].alt = `${image().name}, ${nameOf(codec)}`;
      byId(`${side}-tag`).textContent = tagOf(codec);
      for (const input of document.getElementsByName(side)) input.checked = Number(input.value) === codec;
    }
    byId("missing").textContent = missing.join(". ");
    byId("missing").hidden = missing.length === 0;
    byId("image").value = String(state.image);
    for (const input of document.getElementsByName("target")) input.checked = Number(input.value) === state.target;
    document.querySelectorAll("#sides tr").forEach((line, index) => {
      line.classList.toggle("chosen", index - 1 === state.left || index - 1 === state.right);
    });
    for (const cell of document.querySelectorAll("#sides .rate")) {
      const codec = Number(cell.dataset.codec);
      const found = codec === ORIGINAL ? { bytes: rawBytes() } : row(codec);
      cell.textContent = !found || found.error ? "–" : found.bytes.toLocaleString("en");
      const over = codec !== ORIGINAL && isOver(found);
      cell.classList.toggle("over", over);
      cell.title = over ? "More than the target: the smallest file that it makes" : "";
    }
    for (const id of ["image-previous", "image-next"]) byId(id).disabled = data.images.length < 2;
    facts();
    layout();
  }

  function tagOf(codec) {
    if (codec === ORIGINAL) return "Original";
    const found = row(codec);
    if (!found || found.error) return nameOf(codec);
    return `${nameOf(codec)} · ${bytesText(found.bytes)}${isOver(found) ? ", over" : ""}`;
  }

  function fact(title, texts, better, wide) {
    const made = element("div", wide ? "fact wide" : "fact");
    made.append(element("h3", "", title));
    ["left", "right"].forEach((side, index) => {
      const line = element("p", better === index ? "better" : "");
      line.append(element("span", "side", side === "left" ? "Left" : "Right"), element("span", "", texts[index]));
      made.append(line);
    });
    return made;
  }

  function facts() {
    const sides = [state.left, state.right];
    const rows = sides.map((codec) => (codec === ORIGINAL ? null : row(codec)));
    const of = (found, text) => (found && !found.error ? text(found) : "–");
    const size = (codec, index) => (codec === ORIGINAL ? `${rawBytes().toLocaleString("en")} raw` : of(rows[index], (each) => each.bytes.toLocaleString("en")));
    const made = [
      fact("Picture", sides.map(nameOf), null, true),
      fact("File, bytes", sides.map(size), null),
      fact("Bits per pixel", sides.map((codec, index) => (codec === ORIGINAL ? "24" : of(rows[index], (each) => each.bpp.toFixed(4) + (each.reached ? "" : " (over)")))), null),
    ];
    for (const measure of data.measures) {
      const values = rows.map((found) => found?.measures?.[measure.name] ?? null);
      if (!data.codecs.some((_, codec) => row(codec)?.measures?.[measure.name] !== undefined)) continue;
      let better = null;
      if (measure.better && values[0] !== null && values[1] !== null && values[0] !== values[1]) {
        better = (values[0] > values[1]) === (measure.better === "higher") ? 0 : 1;
      }
      const unit = measure.unit ? `, ${measure.unit}` : "";
      const texts = values.map((value) => (value === null ? "–" : value.toFixed(measure.digits)));
      made.push(fact(`${measure.label}${unit} ${measure.arrow}`, texts, better));
    }
    made.push(fact("Setting", rows.map((found) => of(found, (each) => each.setting || "–")), null, true));
    byId("facts").replaceChildren(...made);
  }

  function announce(text) {
    byId("announce").textContent = text;
  }

  // --- divider, zoom and place -------------------------------------------------------------------

  function fitScale() {
    const fit = Math.min(stage.clientWidth / image().width, stage.clientHeight / image().height);
    // enlarged by whole numbers only: all pixels stay of one size
    return fit > 1 ? Math.floor(fit + 1e-6) : fit;
  }

  function layout() {
    const aspect = Math.min(2.2, Math.max(0.8, image().width / image().height));
    const height = Math.min(stage.clientWidth / aspect, Math.max(260, innerHeight * 0.76));
    stage.style.height = `${Math.round(height)}px`;
    if (state.fitted) state.scale = fitScale();
    place();
  }

  function place() {
    const fit = fitScale();
    if (state.scale <= fit * 1.0001) {
      state.scale = fit;
      state.fitted = true;
    }
    const clamp = (offset, size, room) => (size <= room ? (room - size) / 2 : Math.min(0, Math.max(room - size, offset)));
    const width = image().width * state.scale;
    const height = image().height * state.scale;
    state.x = clamp(state.x, width, stage.clientWidth);
    state.y = clamp(state.y, height, stage.clientHeight);
    for (const picture of Object.values(pictures)) {
      picture.style.width = `${width}px`;
      picture.style.height = `${height}px`;
      picture.style.transform = `translate(${Math.round(state.x)}px, ${Math.round(state.y)}px)`;
      picture.classList.toggle("enlarged", state.scale > 1);
    }
    stage.classList.toggle("zoomed", !state.fitted);
    stage.style.setProperty("--divider", `${(state.divider * 100).toFixed(3)}%`);
    const percent = Math.round(state.divider * 100);
    divider.setAttribute("aria-valuenow", String(percent));
    divider.setAttribute("aria-valuetext", `${percent} %: ${nameOf(state.left)} to the left, ${nameOf(state.right)} to the right`);
    byId("zoom-level").textContent = `${Math.round(state.scale * 100)} %`;
    byId("zoom-out").disabled = state.fitted;
    byId("zoom-in").disabled = state.scale >= LARGEST;
  }

  function moveDivider(share) {
    state.divider = Math.min(1, Math.max(0, share));
    place();
  }

  // the picture's point under (x, y) of the stage stays there
  function zoomTo(scale, x = stage.clientWidth / 2, y = stage.clientHeight / 2) {
    const next = Math.min(LARGEST, Math.max(fitScale(), scale));
    const factor = next / state.scale;
    state.x = x - (x - state.x) * factor;
    state.y = y - (y - state.y) * factor;
    state.scale = next;
    state.fitted = false;
    place();
  }

  // by halves and doubles, through 1:1
  function zoomStep(direction) {
    const level = Math.log2(state.scale);
    const next = direction > 0 ? Math.floor(level + 1.0001) : Math.ceil(level - 1.0001);
    zoomTo(2 ** next);
  }

  function fit() {
    state.fitted = true;
    state.scale = fitScale();
    place();
  }

  function movePicture(x, y) {
    state.x += x;
    state.y += y;
    place();
  }

  // --- choosing ----------------------------------------------------------------------------------

  function choose(side, codec) {
    if (codec > last) return;
    state[side] = codec;
    show();
    announce(`${side === "left" ? "Left" : "Right"}: ${tagOf(codec)}`);
  }

  function chooseImage(index) {
    const count = data.images.length;
    const before = image();
    state.image = (index + count) % count;
    if (image().width !== before.width || image().height !== before.height) state.fitted = true;
    show();
    announce(`Image ${image().name}`);
  }

  function chooseTarget(index) {
    if (index < 0 || index >= data.targets.length) return;
    state.target = index;
    show();
    announce(`At most ${data.targets[index]} bits per pixel`);
  }

  function swap() {
    [state.left, state.right] = [state.right, state.left];
    show();
    announce(`Left: ${tagOf(state.left)}; right: ${tagOf(state.right)}`);
  }

  byId("image").addEventListener("change", (event) => chooseImage(Number(event.target.value)));
  byId("image-previous").addEventListener("click", () => chooseImage(state.image - 1));
  byId("image-next").addEventListener("click", () => chooseImage(state.image + 1));
  for (const side of ["left", "right"]) {
    for (const input of document.getElementsByName(side)) {
      input.addEventListener("change", () => choose(side, Number(input.value)));
    }
  }
  for (const input of document.getElementsByName("target")) {
    input.addEventListener("change", () => chooseTarget(Number(input.value)));
  }
  byId("zoom-in").addEventListener("click", () => zoomStep(1));
  byId("zoom-out").addEventListener("click", () => zoomStep(-1));
  byId("zoom-one").addEventListener("click", () => zoomTo(1));
  byId("zoom-fit").addEventListener("click", fit);
  byId("swap").addEventListener("click", swap);
  byId("help-open").addEventListener("click", () => byId("help").showModal());

  // --- mouse and touch ---------------------------------------------------------------------------

  const pointers = new Map();
  let moves = null;
  let lastTap = null;
  // where the finger that may become a tap came down; null once it moves, or another joins it
  let tapStart = null;

  function position(event) {
    const frame = stage.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  const away = (first, second) => Math.hypot(first.x - second.x, first.y - second.y);

  function spread() {
    const [first, second] = [...pointers.values()];
    return { distance: away(first, second), x: (first.x + second.x) / 2, y: (first.y + second.y) / 2 };
  }

  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    const at = position(event);
    pointers.set(event.pointerId, at);
    stage.setPointerCapture(event.pointerId);
    tapStart = pointers.size === 1 && event.pointerType !== "mouse" ? at : null;
    const onDivider = divider.contains(event.target);
    if (pointers.size === 2) {
      moves = "zoom";
    } else if (onDivider || state.fitted) {
      moves = "divider";
      if (!onDivider && event.pointerType === "mouse") moveDivider(at.x / stage.clientWidth);
    } else {
      moves = "picture";
      stage.classList.add("held");
    }
    // before the browser gives focus to what was hit, which may be no slider
    event.preventDefault();
    divider.focus({ preventScroll: true, focusVisible: false });
  });

  stage.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const at = position(event);
    if (tapStart && away(at, tapStart) > 10) tapStart = null;
    if (moves === "zoom" && pointers.size === 2) {
      const earlier = spread();
      pointers.set(event.pointerId, at);
      const now = spread();
      zoomTo(state.scale * (now.distance / Math.max(1, earlier.distance)), earlier.x, earlier.y);
      movePicture(now.x - earlier.x, now.y - earlier.y);
      return;
    }
    pointers.set(event.pointerId, at);
    if (moves === "divider") {
      // a mouse takes the divider along; a finger, which hides what it touches, pushes it from anywhere
      const pushed = event.pointerType === "mouse" ? at.x / stage.clientWidth : state.divider + (at.x - before.x) / stage.clientWidth;
      moveDivider(pushed);
    }
    if (moves === "picture") movePicture(at.x - before.x, at.y - before.y);
  });

  function release(event) {
    if (!pointers.delete(event.pointerId)) return;
    stage.classList.remove("held");
    // a finger that stays after a pinch moves the picture, not the divider
    moves = pointers.size === 1 && !state.fitted ? "picture" : null;
  }
  stage.addEventListener("pointercancel", release);
  stage.addEventListener("pointerup", (event) => {
    const tapped = tapStart;
    tapStart = null;
    release(event);
    if (!tapped) return;
    if (lastTap && away(tapped, lastTap) < 30 && event.timeStamp - lastTap.time < 350) {
      zoomAt(tapped);
      lastTap = null;
    } else {
      lastTap = { time: event.timeStamp, ...tapped };
    }
  });

  function zoomAt(at) {
    if (state.fitted) zoomTo(state.scale < 1 ? Math.max(1, state.scale * 2) : state.scale * 4, at.x, at.y);
    else fit();
  }
  let finger = false;
  stage.addEventListener("pointerdown", (event) => { finger = event.pointerType !== "mouse"; }, true);
  stage.addEventListener("dblclick", (event) => {
    // two taps have been counted above; not every browser makes a double click of them
    if (!finger) zoomAt(position(event));
  });

  let hintTimer = 0;
  stage.addEventListener("wheel", (event) => {
    // the wheel scrolls the page until the picture is taken hold of; a pinch on a pad has ctrlKey
    if (!event.ctrlKey && !stage.contains(document.activeElement)) {
      byId("wheel-hint").hidden = false;
      clearTimeout(hintTimer);
      hintTimer = setTimeout(() => { byId("wheel-hint").hidden = true; }, 1500);
      return;
    }
    if (state.fitted && event.deltaY > 0 && !event.ctrlKey) return;
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 33 : 1;
    const at = position(event);
    zoomTo(state.scale * Math.exp(-event.deltaY * lines * (event.ctrlKey ? 0.01 : 0.0022)), at.x, at.y);
  }, { passive: false });

  // --- keyboard ----------------------------------------------------------------------------------

  const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

  function arrowKey(event) {
    const [x, y] = arrows[event.key];
    const onDivider = document.activeElement === divider;
    if (event.shiftKey) movePicture(-x * 40, y * 40);
    // up and down belong to the page, unless the divider has the focus
    else if (x || onDivider) moveDivider(state.divider + (x || y) * 0.01);
    else return false;
    return true;
  }

  const actions = {
    "+": () => zoomStep(1), "=": () => zoomStep(1), "-": () => zoomStep(-1), f: fit,
    "[": () => chooseImage(state.image - 1), "]": () => chooseImage(state.image + 1),
    p: () => chooseImage(state.image - 1), n: () => chooseImage(state.image + 1),
    ",": () => chooseTarget(state.target - 1), ".": () => chooseTarget(state.target + 1),
    s: swap, "?": () => byId("help").showModal(),
  };
  const dividerActions = {
    Home: () => moveDivider(0), End: () => moveDivider(1),
    PageUp: () => moveDivider(state.divider + 0.1), PageDown: () => moveDivider(state.divider - 0.1),
  };

  document.addEventListener("keydown", (event) => {
    const typed = event.getModifierState("AltGraph");
    if (byId("help").open || event.defaultPrevented || ((event.ctrlKey || event.altKey || event.metaKey) && !typed)) return;
    const focused = document.activeElement;
    const inside = byId("viewer").contains(focused);
    // keys of one letter hold while the viewer has the focus, or nothing has
    if (!inside && focused !== document.body) return;
    if (event.key in arrows) {
      // radio buttons and lists have their own use for arrows
      if (focused.matches("input, select") || !arrowKey(event)) return;
    } else if (focused === divider && event.key in dividerActions) {
      dividerActions[event.key]();
    } else if (/^(Digit|Numpad)\d$/.test(event.code)) {
      choose(event.shiftKey ? "left" : "right", Number(event.code.slice(-1)) - 1);
    } else if (!focused.matches("select") && event.key.toLowerCase() in actions) {
      actions[event.key.toLowerCase()]();
    } else {
      return;
    }
    event.preventDefault();
  });

  for (const picture of Object.values(pictures)) picture.addEventListener("dragstart", (event) => event.preventDefault());
  new ResizeObserver(layout).observe(stage);
  addEventListener("resize", layout);
  show();
})();
