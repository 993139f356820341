// What the volume view uses of NiiVue.
export { DRAG_MODE, MULTIPLANAR_TYPE, NVImage, NVMesh, Niivue, SHOW_RENDER, SLICE_TYPE } from "@niivue/niivue";
