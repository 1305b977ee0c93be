//! What a newcomer sees first.

use std::time::Duration;

use anyhow::Result;
use belvedere_tests::belvedere;

#[test]
fn the_demonstration_prints_results_and_an_alert_within_a_minute() -> Result<()> {
    let finished = belvedere(&["demo", "--results", "5", "--alerts", "1"], Duration::from_secs(60))?;
    assert_eq!(finished.status.code(), Some(0), "{finished:#?}");
    let results = finished.stdout.lines().filter(|line| line.contains("belvedere/")).count();
    assert!(results >= 5, "{finished:#?}");
    assert!(finished.stdout.contains("page     http://127.0.0.1:"), "{finished:#?}");
    assert!(finished.stdout.contains("belvedere/garden/alerts  ALERT    "), "{finished:#?}");
    Ok(())
}
