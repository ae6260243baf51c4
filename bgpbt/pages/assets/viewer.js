"use strict";
// Plays an episode. `data` is what `viewer.py` says: lengths in metres, z points up.

const data = JSON.parse(document.getElementById("data").textContent);
const stage = document.getElementById("stage");
const { scene: model, frames } = data;
const last = frames.position.length - 1;
const AZIMUTH = -2.0; // as in the GIF
const CHECKS = 10; // of the floor, from the camera to what it looks at

function colour([r, g, b]) { return new THREE.Color().setRGB(r, g, b); } // linear

function shape(kind, [a, b, c]) {
  if (kind === "sphere") return new THREE.SphereGeometry(a, 32, 20);
  if (kind === "box") return new THREE.BoxGeometry(2 * a, 2 * b, 2 * c);
  return new THREE.CapsuleGeometry(a, 2 * b, 10, 24).rotateX(Math.PI / 2); // along z
}

function checkered() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 64;
  const pen = canvas.getContext("2d");
  for (let i = 0; i < 4; i++) { pen.fillStyle = (i % 3 ? "#c9ccd1" : "#dfe1e5"); pen.fillRect(32 * (i % 2), 32 * Math.floor(i / 2), 32, 32); }
  const texture = new THREE.CanvasTexture(canvas);
  texture.wrapS = texture.wrapT = THREE.RepeatWrapping;
  texture.colorSpace = THREE.SRGBColorSpace;
  texture.anisotropy = 8;
  return texture;
}

function build() {
  const scene = new THREE.Scene();
  const far = model.distance * 14, sky = new THREE.Color("#e9edf2");
  scene.background = sky;
  scene.fog = new THREE.Fog(sky, model.distance * 3, far);
  scene.add(new THREE.HemisphereLight(0xffffff, 0x8a8f98, 1.7));
  const sun = new THREE.DirectionalLight(0xffffff, 2.4), wide = model.distance * 1.2;
  sun.castShadow = true;
  sun.shadow.mapSize.set(1024, 1024);
  Object.assign(sun.shadow.camera, { left: -wide, right: wide, top: wide, bottom: -wide, far: model.distance * 6 });
  scene.add(sun, sun.target);
  const texture = checkered(), side = far * 2;
  texture.repeat.setScalar((side * CHECKS) / model.distance / 2);
  const floor = new THREE.Mesh(new THREE.PlaneGeometry(side, side), new THREE.MeshStandardMaterial({ map: texture, roughness: 1 }));
  floor.position.z = model.floor;
  floor.receiveShadow = true;
  scene.add(floor);
  const links = frames.position[0].map(() => new THREE.Group());
  links.forEach((link) => scene.add(link));
  model.kind.forEach((kind, i) => {
    const mesh = new THREE.Mesh(shape(kind, model.size[i]), new THREE.MeshStandardMaterial({ color: colour(model.colour[i]), roughness: 0.6 }));
    const [w, x, y, z] = model.rotation[i];
    mesh.position.set(...model.position[i]);
    mesh.quaternion.set(x, y, z, w);
    mesh.castShadow = mesh.receiveShadow = true;
    (model.link[i] < 0 ? scene : links[model.link[i]]).add(mesh);
  });
  return { scene, sun, links, floor, period: (2 * model.distance) / CHECKS };
}

function start() {
  const renderer = new THREE.WebGLRenderer({ antialias: true, preserveDrawingBuffer: true });
  renderer.shadowMap.enabled = true;
  renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
  stage.append(renderer.domElement);
  const world = build();
  const camera = new THREE.PerspectiveCamera(40, 1, model.distance / 100, model.distance * 40);
  camera.up.set(0, 0, 1);
  const orbit = new THREE.OrbitControls(camera, renderer.domElement);
  const at = new THREE.Vector3();
  let frame = 0, playing = false, speed = 1, clock = 0, before = null;

  function home() {
    const [x, y] = frames.position[frame][0];
    at.set(x, y, model.focus);
    orbit.target.copy(at);
    const level = model.distance * Math.cos(model.elevation);
    camera.position.set(x + level * Math.cos(AZIMUTH), y + level * Math.sin(AZIMUTH), model.focus + model.distance * Math.sin(model.elevation));
  }

  // The camera follows the first body across the floor, and keeps its height.
  function follow() {
    const [x, y] = frames.position[frame][0];
    const dx = x - at.x, dy = y - at.y;
    at.set(x, y, model.focus);
    for (const point of [orbit.target, camera.position]) { point.x += dx; point.y += dy; }
    world.sun.target.position.copy(at);
    world.sun.position.set(x - model.distance, y - model.distance, model.focus + 2 * model.distance);
    world.floor.position.x = Math.round(x / world.period) * world.period;
    world.floor.position.y = Math.round(y / world.period) * world.period;
  }

  function draw() {
    world.links.forEach((link, i) => {
      const [w, x, y, z] = frames.rotation[frame][i];
      link.position.set(...frames.position[frame][i]);
      link.quaternion.set(x, y, z, w);
    });
    follow();
    orbit.update();
    renderer.render(world.scene, camera);
    show();
  }

  const play = document.getElementById("play"), slider = document.getElementById("frame");
  slider.max = last;
  let cursor = () => {};
  function show() {
    slider.value = frame;
    document.body.dataset.frame = frame;
    document.getElementById("time").textContent = `${(frame * data.seconds_per_frame).toFixed(1)} of ${(last * data.seconds_per_frame).toFixed(1)} s, return so far ${told(frames.total[frame])}`;
    cursor();
  }
  function toggle(now = !playing) {
    playing = now;
    if (playing && frame === last) frame = 0;
    before = null;
    play.textContent = playing ? "pause" : "play";
  }
  function seek(to) { frame = Math.min(Math.max(Math.round(to), 0), last); clock = 0; draw(); }

  function tick(now) {
    if (playing) {
      if (before !== null) clock += ((now - before) / 1000) * speed;
      before = now;
      const steps = Math.floor(clock / data.seconds_per_frame);
      clock -= steps * data.seconds_per_frame;
      frame += steps;
      if (frame >= last) { frame = last; toggle(false); }
    }
    draw();
    requestAnimationFrame(tick);
  }

  function resize() {
    const width = stage.clientWidth, height = Math.round(Math.min(width * 0.62, window.innerHeight * 0.7));
    renderer.setSize(width, height, false);
    renderer.domElement.style.height = `${height}px`;
    camera.aspect = width / height;
    camera.updateProjectionMatrix();
  }

  play.addEventListener("click", () => toggle());
  slider.addEventListener("input", () => { toggle(false); seek(Number(slider.value)); });
  document.getElementById("speed").addEventListener("change", (event) => { speed = Number(event.target.value); });
  document.getElementById("home").addEventListener("click", () => { home(); draw(); });
  document.addEventListener("keydown", (event) => {
    if (event.target.closest?.("input, select, button")) return;
    if (event.key === " ") { event.preventDefault(); toggle(); }
    if (event.key === "ArrowRight") { toggle(false); seek(frame + 1); }
    if (event.key === "ArrowLeft") { toggle(false); seek(frame - 1); }
  });
  new ResizeObserver(() => requestAnimationFrame(resize)).observe(stage);
  resize();
  home();

  const times = frames.total.map((_, i) => i * data.seconds_per_frame);
  chart(document.getElementById("rewards"), 200, (svg, width, height) => {
    const x = scale(extent(times, 0.01), MARGIN.left, width - MARGIN.right);
    const y = scale(extent(frames.total), height - MARGIN.bottom, MARGIN.top);
    axes(svg, width, height, x, y, "seconds", "return so far");
    svg.append(node("path", { class: "s-winner", d: line(times.map(x), frames.total.map(y)) }));
    const mark = node("path", { class: "s-generation" });
    svg.append(mark);
    cursor = () => mark.setAttribute("d", `M${x(times[frame])},${MARGIN.top}V${height - MARGIN.bottom}`);
    cursor();
    svg.addEventListener("click", (event) => {
      const share = (event.clientX - svg.getBoundingClientRect().left - x(0)) / (x(times[last]) - x(0));
      toggle(false);
      seek(share * last);
    });
    return times.map((t, i) => [x(t), y(frames.total[i]), () => tip(`${t.toFixed(2)} s`, [["return so far", told(frames.total[i])], ["reward of the frame", told(frames.reward[i])]])]);
  });
  draw();
  requestAnimationFrame(tick);
  toggle(!window.matchMedia("(prefers-reduced-motion: reduce)").matches);
}

try {
  start();
} catch (error) {
  stage.textContent = `This browser cannot draw in three dimensions (WebGL): ${error.message}`;
}
document.body.dataset.drawn = "yes";
