/**
 * What monitors collect, in the text format of Prometheus (its documentation, "Exposition formats", version 0.0.4).
 */

import type { EffectiveVersion } from './effective-version.ts';
import type { UpdateView } from './view.ts';

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const STAGES: readonly UpdateView['stage'][] = ['preparing', 'applied', 'reversed', 'installed'];

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function sampleText(name: string, { labels = {}, value }: Sample): string {
  const list = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${list.length === 0 ? '' : `{${list.join(',')}}`} ${value}`;
}

/** All of these are gauges: none of them only rises. */
function metricText({ name, help, samples }: Metric): string {
  if (samples.length === 0) return '';
  const lines = [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} gauge`,
    ...samples.map((each) => sampleText(name, each)),
  ];
  return `${lines.join('\n')}\n`;
}

function perUpdate(
  updates: readonly UpdateView[],
  value: (update: UpdateView) => number | undefined,
): readonly Sample[] {
  return updates.flatMap((update) => {
    const number = value(update);
    return number === undefined ? [] : [{ labels: { id: update.id }, value: number }];
  });
}

/** @param interfaceVersion of the loaded core; undefined if it is not loaded */
export function metricsText(
  kernel: EffectiveVersion,
  updates: readonly UpdateView[],
  interfaceVersion: number | undefined,
): string {
  const { release, version, cves } = kernel;
  const metrics: readonly Metric[] = [
    {
      name: 'ksplice_kernel_info',
      help: 'The kernel that booted.',
      samples: [{ labels: { release, version: version ?? '' }, value: 1 }],
    },
    {
      name: 'ksplice_core_interface',
      help: 'Interface version of the loaded core, 0 if it is not loaded.',
      samples: [{ value: interfaceVersion ?? 0 }],
    },
    {
      name: 'ksplice_updates',
      help: 'Updates on this machine, by stage.',
      samples: STAGES.map((stage) => ({
        labels: { stage },
        value: updates.filter((update) => update.stage === stage).length,
      })),
    },
    {
      name: 'ksplice_update_installed_not_applied',
      help: '1 if the update is to be applied at boot, and is not applied.',
      samples: perUpdate(updates, ({ atBoot, stage }) => (atBoot ? Number(stage !== 'applied') : undefined)),
    },
    {
      name: 'ksplice_cve_fixed',
      help: 'Vulnerabilities that applied updates fix.',
      samples: cves.map((cve) => ({ labels: { cve }, value: 1 })),
    },
    {
      name: 'ksplice_update_applied',
      help: '1 if the update is applied.',
      samples: perUpdate(updates, ({ stage }) => Number(stage === 'applied')),
    },
    {
      name: 'ksplice_update_applied_timestamp_seconds',
      help: 'When the update was applied.',
      samples: perUpdate(updates, ({ appliedAt }) =>
        appliedAt === null ? undefined : Date.parse(appliedAt) / 1000,
      ),
    },
    {
      name: 'ksplice_update_engine',
      help: 'What has switched the update: our own jumps, or the livepatch of the kernel.',
      samples: updates.map(({ id, engine }) => ({ labels: { id, engine }, value: 1 })),
    },
    {
      name: 'ksplice_update_functions',
      help: 'Functions that the update replaces.',
      samples: perUpdate(updates, ({ functions }) => functions.length),
    },
    {
      name: 'ksplice_update_shadowed_functions',
      help: 'Functions of the update that a livepatch loaded later has taken over: not in force.',
      samples: perUpdate(updates, ({ shadowed }) => shadowed.length),
    },
    {
      name: 'ksplice_update_conflicts',
      help: 'Tasks that were in the way of the last change of stage.',
      samples: perUpdate(updates, ({ conflicts }) => conflicts.length),
    },
  ];
  return metrics.map(metricText).join('');
}
