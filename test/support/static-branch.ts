/**
 * C text of a branch by a static key, cut down from arch/x86/include/asm/jump_label.h: `static_branch(key)`, for a source that
 * has a struct static_key. `site` is what stands at the place that the kernel rewrites: a NOP of five bytes unless told.
 */
export function staticBranch(site = '.byte 0x0f,0x1f,0x44,0x00,0x00'): string {
  return `static inline __attribute__((always_inline)) _Bool static_branch(struct static_key *k)
{
  asm goto("1: ${site}\\n .pushsection __jump_table,\\"aw\\"\\n .balign 8\\n"
    " .long 1b - .\\n .long %l[yes] - .\\n .quad %c0 - .\\n .popsection" : : "i" (k) : : yes);
  return 0;
yes:
  return 1;
}`;
}
