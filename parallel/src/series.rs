/// One number for each node: a first one that is counted up, or a list.
///
/// ```
/// use tidings_parallel::Series;
///
/// let first: Series<u16> = 50515.into();
/// assert_eq!((first.at(0), first.at(3)), (Some(50515), Some(50518)));
/// let list: Series<u32> = vec![7, 3].into();
/// assert_eq!((list.at(1), list.at(2)), (Some(3), None));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series<T>(Kind<T>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind<T> {
    First(T),
    List(Vec<T>),
}

impl<T: Copy + TryFrom<usize> + TryInto<usize>> Series<T> {
    /// The number of the node of this index, or `None` behind the end of a list or beyond the largest number.
    pub fn at(&self, index: usize) -> Option<T> {
        match &self.0 {
            Kind::First(first) => {
                let first: usize = (*first).try_into().ok()?;
                first.checked_add(index)?.try_into().ok()
            }
            Kind::List(list) => list.get(index).copied(),
        }
    }

    /// Whether it is this number counted up.
    pub(crate) fn starts_at(&self, number: T) -> bool
    where
        T: PartialEq,
    {
        matches!(&self.0, Kind::First(first) if *first == number)
    }
}

impl<T> From<T> for Series<T> {
    fn from(first: T) -> Self {
        Self(Kind::First(first))
    }
}

impl<T> From<Vec<T>> for Series<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Kind::List(list))
    }
}

impl<T, const N: usize> From<[T; N]> for Series<T> {
    fn from(list: [T; N]) -> Self {
        Self(Kind::List(list.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_number_is_not_counted_beyond_the_largest() {
        let ports: Series<u16> = 65_535.into();
        assert_eq!((ports.at(0), ports.at(1)), (Some(65_535), None));
    }
}
