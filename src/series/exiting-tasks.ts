/**
 * How a kernel says that a task has left the task list and still runs.
 *
 * RCU keeps book of such tasks, for its own scan of the list. The book is private to kernel/rcu/tasks.h and has had two
 * forms: an SRCU structure whose readers are these tasks, and since bfe93930ea1e ("rcu-tasks: Add data to eliminate RCU-tasks/do_exit()
 * deadlocks") a list for each CPU. In both a question is added that can be answered while no CPU runs anything else.
 */
import { RefusedError } from '../diagnostics/error.ts';
import { hasLine, insertAfterLine, insertBeforeLine } from './edit-text.ts';
import type { EditedTree } from './tree.ts';

const RCU_TASKS = 'kernel/rcu/tasks.h';
const SRCU = 'DEFINE_STATIC_SRCU(tasks_rcu_exit_srcu);';
const LIST = '\tstruct list_head rtp_exit_list;';
const END = '#else /* #ifdef CONFIG_TASKS_RCU */';

const COMMENT = `/*
 * Is any task past exit_tasks_rcu_start(), off the tasklist, and not yet past
 * exit_tasks_rcu_finish()?  The answer is exact while all CPUs are stopped, which
 * is where the caller asks; it takes no lock.
 */
`;

const BY_READERS = `${COMMENT}bool exit_tasks_rcu_pending(void)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu) {
		struct srcu_data *sdp = per_cpu_ptr(tasks_rcu_exit_srcu.sda, cpu);

		sum += READ_ONCE(sdp->srcu_lock_count[0]);
		sum += READ_ONCE(sdp->srcu_lock_count[1]);
		sum -= READ_ONCE(sdp->srcu_unlock_count[0]);
		sum -= READ_ONCE(sdp->srcu_unlock_count[1]);
	}
	return sum;
}
EXPORT_SYMBOL_GPL(exit_tasks_rcu_pending);

`;

/* A pid namespace's init waits for its processes while it is on RCU's list; it is on the tasklist, too, and its
   stack is looked at like any other. */
const BY_LIST = `${COMMENT}bool exit_tasks_rcu_pending(void)
{
	int cpu;

	for_each_possible_cpu(cpu) {
		struct rcu_tasks_percpu *rtpcp = per_cpu_ptr(rcu_tasks.rtpcpu, cpu);
		struct task_struct *t;

		list_for_each_entry(t, &rtpcp->rtp_exit_list, rcu_tasks_exit_list) {
			if (!pid_alive(t))
				return true;
		}
	}
	return false;
}
EXPORT_SYMBOL_GPL(exit_tasks_rcu_pending);

`;

/** Throws RefusedError if this kernel keeps book in a way that is not known. */
export function addExitingTasks(tree: EditedTree): void {
  tree.edit(RCU_TASKS, (source) => {
    const { text } = source;
    if (hasLine(text, SRCU)) return insertBeforeLine(source, END, BY_READERS);
    if (hasLine(text, LIST)) return insertBeforeLine(source, END, BY_LIST);
    throw new RefusedError('refused', `${RCU_TASKS}: expected '${SRCU}' or '${LIST.trim()}', found neither`, {
      hint: 'without a list of exiting tasks the core cannot tell that code is not in use: it must not be built here',
      details: { file: RCU_TASKS, expected: [SRCU, LIST.trim()] },
    });
  });
  tree.edit('include/linux/rcupdate.h', (source) =>
    insertAfterLine(source, 'void exit_tasks_rcu_finish(void);', 'bool exit_tasks_rcu_pending(void);\n'),
  );
}
