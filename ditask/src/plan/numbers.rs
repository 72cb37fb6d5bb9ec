use std::str::FromStr;

use crate::fault::{Fault, Result};

/// One number for each node: a first one that is counted up, or a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Numbers<T> {
    First(T),
    List(Vec<T>),
}

impl<T: Copy + FromStr + TryInto<usize> + TryFrom<usize>> Numbers<T> {
    /// Reads `50515`, or `50515,50600`; `50515,` is a list of one. An empty text stands for nothing said.
    pub(super) fn read(flag: &str, text: Option<&str>) -> Result<Option<Self>> {
        let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(None) };
        let number = |part: &str| {
            part.trim()
                .parse::<T>()
                .map_err(|_| Fault::usage(format!("{flag} `{text}`: `{part}` is no number in range")))
        };
        let list = text.strip_suffix(',').map(|list| (list, true)).unwrap_or((text, text.contains(',')));
        match list {
            (one, false) => Ok(Some(Self::First(number(one)?))),
            (many, true) => Ok(Some(Self::List(many.split(',').map(number).collect::<Result<_>>()?))),
        }
    }

    /// The numbers of so many nodes.
    pub(super) fn counted(&self, flag: &str, nodes: usize) -> Result<Vec<T>> {
        match self {
            Self::List(list) if list.len() == nodes => Ok(list.clone()),
            Self::List(list) => Err(Fault::usage(format!(
                "{flag} has {} numbers for {nodes} workers: one for each, or the first one alone",
                list.len()
            ))),
            Self::First(first) => {
                let first: Option<usize> = (*first).try_into().ok();
                let count = |index| {
                    first.and_then(|first| first.checked_add(index)).and_then(|at| at.try_into().ok())
                };
                (0..nodes).map(count).collect::<Option<Vec<T>>>().ok_or_else(|| {
                    Fault::usage(format!("{flag}: counted up for {nodes} workers, the last one is too high"))
                })
            }
        }
    }
}

impl Numbers<u16> {
    /// The ports of so many nodes: 0 stands for any free one, for each of them.
    pub(super) fn ports(&self, flag: &str, nodes: usize) -> Result<Vec<u16>> {
        let ports = if *self == Self::First(0) { vec![0; nodes] } else { self.counted(flag, nodes)? };
        let mut sorted: Vec<u16> = ports.iter().copied().filter(|port| *port != 0).collect();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Fault::usage(format!("{flag}: two nodes have the port {}", pair[0]))),
            None => Ok(ports),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_is_the_first_and_several_are_a_list() {
        let read = |text: &str| Numbers::<u16>::read("--ports", Some(text)).unwrap();
        assert_eq!(read("50515").unwrap().counted("--ports", 2).unwrap(), [50515, 50516]);
        assert_eq!(read("7, 3").unwrap().counted("--ports", 2).unwrap(), [7, 3]);
        assert_eq!(read("7,").unwrap(), Numbers::List(vec![7]));
        assert_eq!(read(" "), None);
        assert_eq!(read("0").unwrap().ports("--ports", 2).unwrap(), [0, 0]);
    }

    #[test]
    fn what_is_no_port_or_not_enough_of_them_names_the_flag() {
        let ports = |text: &str| {
            Numbers::<u16>::read("--ports", Some(text))
                .and_then(|numbers| numbers.unwrap().ports("--ports", 2))
        };
        for text in ["x", "-1", "65536", "1,x", "1,2,3", "1,", "65535", "4,4", ",", "1 2"] {
            let fault = ports(text).unwrap_err();
            assert!(fault.to_string().starts_with("--ports"), "{text}: {fault}");
            assert_eq!(fault.code(), 64);
        }
    }
}
