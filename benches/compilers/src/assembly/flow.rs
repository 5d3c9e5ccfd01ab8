//! Follows a program's steps along every path.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;

use super::Step;

/// What a lane has requested from one buffer, where that is most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InFlight {
    pub loads: u32,
    pub bytes: u32,
    /// Bytes of all loads in the program's text, of the buffer that has most; `None` if a loop repeats a load.
    pub all_bytes: Option<u32>,
}

/// The counters of every GPU here end before this: 63 loads of AMD's, 16 tokens of Intel's, 6 barriers of NVIDIA's.
const MOST: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Request<'a> {
    tag: u8,
    /// `None` for what is not a load from a buffer.
    resource: Option<&'a str>,
    bytes: u32,
}

/// The requests in flight, the oldest first.
type State<'a> = Vec<Request<'a>>;

fn bytes(state: &State) -> u32 {
    state.iter().map(|request| request.bytes).sum()
}

/// Walks until no path enters a label with more than was known. Of two states that meet, the one with more bytes counts.
pub fn in_flight(steps: &[Step]) -> InFlight {
    let labels: HashMap<&str, usize> = steps
        .iter()
        .enumerate()
        .filter_map(|(at, step)| if let Step::Label(name) = step { Some((name.as_str(), at)) } else { None })
        .collect();
    let mut entered: HashMap<usize, State> = HashMap::new();
    let mut to_walk = vec![(0, State::new())];
    let mut most = InFlight::default();
    while let Some((start, mut state)) = to_walk.pop() {
        for (at, step) in steps.iter().enumerate().skip(start) {
            match step {
                Step::Load { tag, resource, bytes } => {
                    let resource = Some(resource.as_str());
                    state.push(Request { tag: *tag, resource, bytes: *bytes });
                    let same = state.iter().filter(|request| request.resource == resource);
                    let (loads, bytes) = same.fold((0, 0), |(n, sum), one| (n + 1, sum + one.bytes));
                    if bytes > most.bytes {
                        most = InFlight { loads, bytes, all_bytes: None };
                    }
                }
                Step::Other { tag } => state.push(Request { tag: *tag, resource: None, bytes: 0 }),
                Step::WaitForAllBut(newest) => drop(state.drain(..state.len().saturating_sub(*newest))),
                Step::Wait { tag } => state.retain(|request| request.tag != *tag),
                Step::Branch(label) | Step::Jump(label) => {
                    if let Some(&target) = labels.get(label.as_str()) {
                        to_walk.push((target, state.clone()));
                    }
                }
                Step::Label(_) => {
                    let known = entered.get(&at);
                    if known.is_some_and(|known| bytes(known) >= bytes(&state)) {
                        break;
                    }
                    entered.insert(at, state.clone());
                }
                Step::End => break,
            }
            if matches!(step, Step::Jump(_)) {
                break;
            }
            let surplus = state.len().saturating_sub(MOST);
            state.drain(..surplus);
        }
    }
    InFlight { all_bytes: all_bytes(steps, &labels), ..most }
}

/// Bytes of the loads from the buffer that has most, if no load is between a label and a step that goes back to it.
fn all_bytes(steps: &[Step], labels: &HashMap<&str, usize>) -> Option<u32> {
    let mut loads = BTreeSet::new();
    let mut bytes_of: BTreeMap<&str, u32> = BTreeMap::new();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Load { resource, bytes, .. } => {
                loads.insert(at);
                *bytes_of.entry(resource).or_default() += bytes;
            }
            Step::Branch(label) | Step::Jump(label) => {
                let target = labels.get(label.as_str()).copied().unwrap_or(at);
                if target < at && loads.range(target..at).next().is_some() {
                    return None;
                }
            }
            _ => {}
        }
    }
    Some(bytes_of.into_values().max().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(tag: u8, resource: &str) -> Step {
        Step::Load { tag, resource: resource.to_owned(), bytes: 16 }
    }

    fn label(name: &str) -> Step {
        Step::Label(name.to_owned())
    }

    #[test]
    fn loads_of_one_buffer_count_until_they_are_waited_for() {
        let steps = [
            load(0, "a"),
            load(0, "b"),
            load(0, "a"),
            Step::WaitForAllBut(1),
            load(0, "a"),
            load(0, "a"),
            Step::WaitForAllBut(0),
            load(0, "a"),
            Step::End,
            load(0, "a"),
            load(0, "a"),
        ];
        assert_eq!(in_flight(&steps), InFlight { loads: 3, bytes: 48, all_bytes: Some(7 * 16) });
    }

    #[test]
    fn a_wait_for_a_tag_leaves_the_others() {
        let steps =
            [load(0, "a"), load(1, "a"), Step::Wait { tag: 0 }, load(0, "a"), load(2, "a"), Step::End];
        assert_eq!(in_flight(&steps).loads, 3);
    }

    #[test]
    fn loads_stay_in_flight_from_one_turn_of_a_loop_to_the_next() {
        // two are requested ahead, and each turn waits for the older one before it requests a third
        let again = Step::Branch("loop".to_owned());
        let mut steps = vec![
            load(0, "a"),
            label("loop"),
            load(0, "a"),
            Step::WaitForAllBut(2),
            load(0, "a"),
            again,
            Step::End,
        ];
        assert_eq!(in_flight(&steps), InFlight { loads: 4, bytes: 64, all_bytes: None });
        steps[3] = Step::WaitForAllBut(0);
        assert_eq!(in_flight(&steps).loads, 2);
    }

    #[test]
    fn a_jump_carries_what_is_in_flight_past_other_code() {
        let steps = [
            load(0, "a"),
            Step::Branch("else".to_owned()),
            Step::WaitForAllBut(0),
            Step::Jump("end".to_owned()),
            label("else"),
            load(0, "a"),
            label("end"),
            load(0, "a"),
            Step::End,
        ];
        assert_eq!(in_flight(&steps), InFlight { loads: 3, bytes: 48, all_bytes: Some(48) });
    }

    #[test]
    fn a_load_from_elsewhere_takes_a_turn_but_no_bytes() {
        let steps = [load(0, "a"), Step::Other { tag: 0 }, Step::WaitForAllBut(1), load(0, "a"), Step::End];
        assert_eq!(in_flight(&steps).loads, 1);
    }

    #[test]
    fn a_load_in_a_loop_is_repeated_whichever_buffer_has_most_in_flight() {
        let again = Step::Branch("loop".to_owned());
        let steps = [
            load(0, "a"),
            Step::WaitForAllBut(0),
            label("loop"),
            load(0, "b"),
            Step::WaitForAllBut(0),
            again,
        ];
        assert_eq!(in_flight(&steps), InFlight { loads: 1, bytes: 16, all_bytes: None });
    }

    #[test]
    fn an_endless_request_ends() {
        let steps = [label("loop"), load(0, "a"), Step::Jump("loop".to_owned())];
        assert_eq!(in_flight(&steps).loads as usize, MOST + 1);
    }
}
