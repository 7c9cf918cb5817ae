//! What handles do with states that expire.

use crate::state::{Expiring, KeyedTable, Namespace, Slot, StateAccess, StateId, StateStore, StateTtlConfig};
use crate::types::{Key, Record};
use brisk_base::{Result, Timestamp};

/// The table and slot that the handle of an expiring value means just now, and the time.
pub(super) type TimedValueAt<'a, C, V> = (
    &'a mut dyn KeyedTable<<C as StateAccess>::Key, <C as StateAccess>::Namespace, Expiring<V>>,
    Slot<'a, <C as StateAccess>::Key, <C as StateAccess>::Namespace>,
    Timestamp,
);

pub(super) fn timed_value_at<C: StateAccess, V: Record>(ctx: &mut C, id: StateId) -> Result<TimedValueAt<'_, C, V>> {
    let current = ctx.current_state()?;
    let now = current.store.processing_time();
    Ok((current.store.value(id)?, current.slot, now))
}

/// What has become of a value.
enum Fate {
    Missing,
    Live,
    Expired,
}

/// Looks at a value. One that has expired is removed, and shown at most once.
pub(super) fn look<K: Key, N: Namespace, V: Record, R>(
    (table, slot, now): (&mut dyn KeyedTable<K, N, Expiring<V>>, Slot<'_, K, N>, Timestamp),
    ttl: &StateTtlConfig,
    look: impl FnOnce(Option<&V>) -> R,
) -> Result<R> {
    let fate = match table.get(slot)? {
        None => Fate::Missing,
        Some(value) if ttl.is_expired(value.at, now) => Fate::Expired,
        Some(_) => Fate::Live,
    };
    match fate {
        Fate::Missing => Ok(look(None)),
        Fate::Expired => {
            let removed = table.remove(slot)?.filter(|value| ttl.is_visible(value.at, now));
            Ok(look(removed.as_ref().map(|value| &value.value)))
        }
        Fate::Live => {
            if ttl.on_read() {
                table.update(slot, &mut |value| {
                    if let Some(value) = value {
                        value.at = now;
                    }
                    Ok(())
                })?;
            }
            Ok(look(table.get(slot)?.map(|value| &value.value)))
        }
    }
}

/// Changes a value, which is then as new. Returns what `change` returns.
pub(super) fn change<V, R>(
    current: &mut Option<Expiring<V>>,
    ttl: &StateTtlConfig,
    now: Timestamp,
    change: impl FnOnce(&mut Option<V>) -> R,
) -> R {
    let mut value = current.take().filter(|value| ttl.is_visible(value.at, now)).map(|value| value.value);
    let result = change(&mut value);
    *current = value.map(|value| Expiring { at: now, value });
    result
}
