pub(crate) fn run(_: &crate::arguments::Top) -> crate::fault::Result {
    Ok(())
}
