// In place of zarrita, which NiiVue reads Zarr with: it would bring WebAssembly, which the pages'
// content security policy refuses. The volume view reads NIfTI alone.
function refuse() {
  throw new Error("Zarr is not read here.");
}

export { refuse as get, refuse as open, refuse as root, refuse as slice };
export class FetchStore {
  constructor() {
    refuse();
  }
}
