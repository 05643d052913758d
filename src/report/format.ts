/** Numbers as people read them. */

/** Milliseconds as `0.4 s`, `12.0 s`, `2 min 5 s`. */
export function formatDuration(milliseconds: number): string {
  const seconds = milliseconds / 1000;
  if (seconds < 60) {
    return `${(Math.floor(seconds * 10) / 10).toFixed(1)} s`;
  }
  return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
}

/** Seconds as the largest unit that is full: `45 seconds`, `3 minutes`, `1 hour`, `12 days`. */
export function formatAge(seconds: number): string {
  const units = [
    [86_400, 'day'],
    [3600, 'hour'],
    [60, 'minute'],
  ] as const;
  const [size, noun] = units.find(([each]) => seconds >= each) ?? [1, 'second'];
  return counted(Math.floor(seconds / size), noun);
}

/** Bytes as `312 bytes`, `4.0 KB`, `1.2 MB`, in powers of 1024. */
export function formatSize(bytes: number): string {
  if (bytes < 1024) {
    return counted(bytes, 'byte');
  }
  const kilobytes = bytes / 1024;
  return kilobytes < 1024 ? `${kilobytes.toFixed(1)} KB` : `${(kilobytes / 1024).toFixed(1)} MB`;
}

/** `1 function`, `2 functions`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
