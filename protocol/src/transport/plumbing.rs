//! The ways from a lane's sorter to its streams: [`plumb`].

use std::sync::Arc;

use tokio::sync::{Mutex, Notify, mpsc};

use super::sort::{Meter, Outlets};
use super::write::Intake;

/// Makes them for so many `streams`, of which the first `compressed` compress. One stream alone takes all there is, in its order.
pub(super) fn plumb(streams: usize, compressed: usize) -> (Outlets, Vec<Intake>) {
    let (freed, meter) = (Arc::new(Notify::new()), Arc::new(Meter::default()));
    let (raw, shared) = match streams {
        1 => (None, None),
        _ => {
            let (raw, shared) = mpsc::channel(1);
            (Some(raw), Some(Arc::new(Mutex::new(shared))))
        }
    };
    let mut dense = Vec::with_capacity(compressed);
    let intakes = (0..streams).map(|index| {
        let own = (index < compressed).then(|| {
            let (place, own) = mpsc::channel(1);
            dense.push(place);
            own
        });
        Intake::new(own, shared.clone(), Arc::clone(&freed), Arc::clone(&meter))
    });
    let intakes = intakes.collect();
    (Outlets { dense, raw, freed, meter }, intakes)
}
