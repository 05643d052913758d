import { FormatError } from '../../diagnostics/error.ts';
import { hex } from '../../diagnostics/hex.ts';
import { Cursor } from '../../elf/cursor.ts';

/** What is wrong with a kernel image, and where in it: FormatError `malformed_image` (exit 65). */
export function malformedImage(path: string, at: number, message: string, cause?: unknown): FormatError {
  return new FormatError('malformed_image', `${path}: at ${hex(at)}: ${message}`, {
    details: { file: path, offset: at },
    ...(cause === undefined ? {} : { cause }),
  });
}

/** A place in a kernel image that is being read: a Cursor whose errors are those of an image. */
export class ImageCursor extends Cursor {
  override at(position: number): ImageCursor {
    return new ImageCursor(this.bytes, this.path, position);
  }

  override fail(message: string, at: number = this.position): never {
    throw malformedImage(this.path, at, message);
  }
}
