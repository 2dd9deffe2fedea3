// Mends manifests that npm publishes in a form that would make every install larger.
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
};
