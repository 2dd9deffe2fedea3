// Mends manifests: what npm publishes in a form that would make every install larger, and our own on their way to npm.
export const hooks = {
  readPackage(manifest) {
    // Node's own builds say `"os": "linux"` where the field is a list; pnpm would fetch those of other platforms too.
    if (typeof manifest.os === 'string') manifest.os = [manifest.os];
    if (typeof manifest.cpu === 'string') manifest.cpu = [manifest.cpu];
    // Only ReDoc's standalone bundle is served: what it was built from stays out.
    if (manifest.name === 'redoc') {
      manifest.dependencies = {};
      manifest.peerDependencies = {};
    }
    // TypeScript is for development alone, and trpc-to-openapi's adapters for other frameworks are not used.
    if (manifest.name?.startsWith('@trpc/')) delete manifest.peerDependencies?.typescript;
    if (manifest.name === 'trpc-to-openapi') manifest.optionalDependencies = {};
    return manifest;
  },

  // In the workspace each package runs from its source; what npm gets was built from it, under the same names.
  beforePacking(manifest) {
    const { scripts, devDependencies, ...published } = manifest;
    const built = (path) => path.replace(/^\.\/src\/(.*)\.ts$/, './dist/$1.js');
    const mapped = (paths = {}, change) => Object.fromEntries(Object.entries(paths).map(([k, v]) => [k, change(v)]));
    if (manifest.bin) published.bin = mapped(manifest.bin, built);
    const exported = (path) => ({ types: built(path).replace(/\.js$/, '.d.ts'), default: built(path) });
    published.exports = { ...mapped(manifest.exports, exported), './package.json': './package.json' };
    // Of ReDoc one file is served. The build copies it, so that nobody installs the hundred packages it was made of.
    if (manifest.dependencies.redoc) {
      const { redoc, ...dependencies } = manifest.dependencies;
      Object.assign(published, { dependencies, imports: { '#redoc': './dist/redoc/redoc.standalone.js' } });
    }
    return published;
  },
};
