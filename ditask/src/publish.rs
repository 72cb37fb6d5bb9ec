pub(crate) fn run(_: &crate::arguments::Pub) -> crate::fault::Result {
    Ok(())
}
