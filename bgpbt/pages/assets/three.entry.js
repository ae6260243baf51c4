// three.min.js is this, with three@0.187.0:
// npx esbuild three.entry.js --bundle --minify --format=iife --global-name=THREE
export { AmbientLight, BoxGeometry, CapsuleGeometry, Color, DirectionalLight, Fog, Group, HemisphereLight, Mesh, MeshStandardMaterial, PCFSoftShadowMap, PerspectiveCamera, PlaneGeometry, Quaternion, Scene, SphereGeometry, Vector3, WebGLRenderer, CanvasTexture, RepeatWrapping, SRGBColorSpace } from "three";
export { OrbitControls } from "three/addons/controls/OrbitControls.js";
