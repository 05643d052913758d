/**
 * Node's cryptography, loaded at first use. It takes a twentieth of Node's own start, and who looks at a machine without updates
 * needs none of it.
 */
export function crypto(): typeof import('node:crypto') {
  return process.getBuiltinModule('node:crypto');
}
