/**
 * Structs and unions of a unit with the places of their members, as `readelf` prints its debug information; told apart
 * by name. Those without one are members of others, which would change with them.
 */
import { runTool } from './run-tool.ts';

/** By `struct name`: its size and `member@offset` for each member. */
export type StructLayouts = ReadonlyMap<string, string>;

export async function readStructs(file: string): Promise<StructLayouts> {
  return parseStructs(await runTool(['readelf', '--debug-dump=info', '-W', file]));
}

/** Names of those that both have, and that lie differently. */
export function changedStructs(pre: StructLayouts, post: StructLayouts): readonly string[] {
  return [...pre].flatMap(([name, layout]) => {
    const now = post.get(name);
    return now === undefined || now === layout ? [] : [name];
  });
}

interface OpenStruct {
  readonly depth: number;
  readonly kind: string;
  name: string;
  size: string;
  readonly members: string[];
}

/** ` <1><2d>: Abbrev Number: 3 (DW_TAG_structure_type)`, then ` <2e> DW_AT_name : (indirect string, offset: 0x1): foo`. */
export function parseStructs(text: string): StructLayouts {
  const structs = new Map<string, string>();
  const open: OpenStruct[] = [];
  let entry: { readonly tag: string; readonly of: OpenStruct | undefined } | undefined;
  const close = (depth: number): void => {
    while ((open.at(-1)?.depth ?? -1) >= depth) {
      const done = open.pop();
      if (done !== undefined && done.name !== '' && done.size !== '') {
        structs.set(`${done.kind} ${done.name}`, `${done.size} ${done.members.join(' ')}`);
      }
    }
  };
  for (const line of text.split('\n')) {
    const [, depth, tag] = /^ <([0-9a-f]+)><[0-9a-f]+>: Abbrev Number: \d+(?: \((\w+)\))?/.exec(line) ?? [];
    if (depth !== undefined) {
      const level = Number.parseInt(depth, 16);
      close(level);
      entry = { tag: tag ?? '', of: open.at(-1) };
      if (tag === 'DW_TAG_structure_type' || tag === 'DW_TAG_union_type') {
        const kind = tag === 'DW_TAG_union_type' ? 'union' : 'struct';
        const started: OpenStruct = { depth: level, kind, name: '', size: '', members: [] };
        open.push(started);
        entry = { tag, of: started };
      }
      continue;
    }
    const [, attribute, value = ''] = /^ +<[0-9a-f]+> +DW_AT_(\w+) *: (.*)$/.exec(line) ?? [];
    if (attribute === undefined || entry?.of === undefined) continue;
    note(entry.of, entry.tag, attribute, value.replace(/^(?:\([^)]*\):? )+/, '').trim());
  }
  close(0);
  return structs;
}

function note(struct: OpenStruct, tag: string, attribute: string, value: string): void {
  if (tag === 'DW_TAG_member') {
    if (attribute === 'name') struct.members.push(value);
    if (/^data_(?:member_location|bit_offset)$/.test(attribute)) struct.members.push(`@${value}`);
  } else if (/^DW_TAG_(?:structure|union)_type$/.test(tag)) {
    if (attribute === 'name') struct.name = value;
    if (attribute === 'byte_size') struct.size = value;
  }
}
