/**
 * A unit with what the ELF code has to deal with: local and global functions, string literals in merged
 * sections, a jump table, initialised, zero and read-only data, pointers in data, a weak function, an alias,
 * a hidden symbol, a section of its own, a cold part, inline assembly with tables, calls to the outside.
 */
export const cSample = `
extern int printk(const char *format, ...);
extern void panic(const char *format, ...) __attribute__((noreturn, cold));
extern unsigned long jiffies;

static int counter;
int limit = 7;
static const char *const names[] = { "loose", "strict", "record" };
const struct ops { int (*show)(int); const char *name; } table[];
static char buffer[4096] __attribute__((aligned(64)));
__attribute__((section(".init.data"))) static int once = 1;
__attribute__((visibility("hidden"))) int hidden_value = 3;

static __attribute__((noinline)) int show(int x)
{
	static int calls;

	if (x < 0)
		panic("negative: %d", x);
	return printk("%s %d %d", names[x % 3], ++calls, counter++);
}

int choose(int kind, int x)
{
	switch (kind) {
	case 0: return x + limit;
	case 1: return show(x);
	case 2: return x * hidden_value;
	case 3: return (int)jiffies;
	case 4: return x ^ 0x55aa;
	case 5: return printk("five");
	case 6: return buffer[x];
	}
	return -1;
}

__attribute__((weak)) int overridable(void)
{
	asm volatile("1: nop\\n.pushsection __sites,\\"a\\"\\n.long 1b - .\\n.quad 1b\\n.popsection");
	return once;
}

int another(void) __attribute__((alias("overridable")));
__attribute__((section(".init.text"))) int setup(void) { return choose(limit, counter); }
const struct ops table[] = { { show, "show" }, { setup, "setup" }, { 0, 0 } };
`;

/** Flags as the kernel is compiled with, by what differs for the reader of the object. */
export const flagSets: readonly (readonly string[])[] = [
  ['-O2', '-mcmodel=kernel', '-fno-pic', '-fno-pie', '-mno-red-zone'],
  ['-O2', '-mcmodel=kernel', '-fno-pic', '-fno-pie', '-ffunction-sections', '-fdata-sections'],
  ['-O2', '-mcmodel=kernel', '-fno-pic', '-fno-pie', '-pg', '-mfentry', '-fcf-protection=branch'],
  ['-Os', '-g', '-fPIC'],
  ['-O0'],
];
