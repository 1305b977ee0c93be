//! The zones of a camera, and which of them an alert asks for.

use std::sync::Arc;

use super::{AlertError, Fraction, PictureBox, Polygon};

/// A named part of a camera's picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Zone {
    /// As users name it.
    pub name: Arc<str>,
    /// Where it is.
    pub polygon: Polygon,
}

impl Zone {
    /// A zone.
    ///
    /// # Errors
    /// [`AlertError::UnnamedZone`]
    pub fn new(name: &str, polygon: Polygon) -> Result<Zone, AlertError> {
        if name.trim().is_empty() {
            return Err(AlertError::UnnamedZone);
        }
        Ok(Zone { name: name.into(), polygon })
    }
}

/// When a region is in a zone. The region is what is left of it within the picture.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum ZoneTest {
    /// The middle of its lower edge is: what stands on the ground is where its feet are. As in
    /// Frigate and in DeepStream's nvdsanalytics.
    #[default]
    BottomCentre,
    /// Its middle is: for what flies, hangs or is seen from above.
    Centre,
    /// At least this share of its area is. Never 0; see [`ZoneTest::share`].
    Share(Share),
}

/// A share above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share(Fraction);

impl ZoneTest {
    /// The test for a share of the area.
    ///
    /// # Errors
    /// [`AlertError::NotAFraction`], or [`AlertError::NoShare`] for 0, which every region has.
    pub fn share(value: f64) -> Result<ZoneTest, AlertError> {
        let fraction = Fraction::new(value)?;
        if fraction == Fraction::ZERO {
            return Err(AlertError::NoShare);
        }
        Ok(ZoneTest::Share(Share(fraction)))
    }

    /// Whether `region` is in `polygon`.
    pub fn passes(self, polygon: &Polygon, region: &PictureBox) -> bool {
        // What clipping loses by rounding is not to keep a box out that is all inside.
        const ROUNDING: f64 = 1e-9;
        match self {
            ZoneTest::BottomCentre => polygon.contains(region.bottom_centre()),
            ZoneTest::Centre => polygon.contains(region.centre()),
            ZoneTest::Share(Share(least)) => polygon.share_of(region) >= least.get() - ROUNDING,
        }
    }
}

/// All zones of a camera, and those of them that an alert asks for.
///
/// An alert that asks for none takes regions anywhere and still says which zones they are in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Zones {
    known: Arc<[Zone]>,
    /// Places in `known`, in its order.
    required: Vec<usize>,
}

impl Zones {
    /// The zones `known` of a camera, of which a region must be in at least one of `required`, where
    /// any is named.
    ///
    /// # Errors
    /// [`AlertError::SecondZoneOfName`], [`AlertError::UnknownZone`]
    pub fn new(known: impl Into<Arc<[Zone]>>, required: &[&str]) -> Result<Zones, AlertError> {
        let known: Arc<[Zone]> = known.into();
        for (index, zone) in known.iter().enumerate() {
            if known.iter().take(index).any(|earlier| earlier.name == zone.name) {
                return Err(AlertError::SecondZoneOfName { name: zone.name.to_string() });
            }
        }
        if let Some(&unknown) = required.iter().find(|&&name| known.iter().all(|zone| *zone.name != *name)) {
            return Err(AlertError::UnknownZone { name: unknown.to_owned() });
        }
        let is_required =
            |index: &usize| known.get(*index).is_some_and(|zone| required.contains(&&*zone.name));
        let required = (0..known.len()).filter(is_required).collect();
        Ok(Zones { known, required })
    }

    /// The zones that `region` is in, as places in the camera's list and in its order; `None` where
    /// it is in none of those that are asked for.
    pub(super) fn of(&self, region: &PictureBox, test: ZoneTest) -> Option<Vec<usize>> {
        let is_in = |(index, zone): (usize, &Zone)| test.passes(&zone.polygon, region).then_some(index);
        let found: Vec<usize> = self.known.iter().enumerate().filter_map(is_in).collect();
        let counts = self.required.is_empty() || self.required.iter().any(|index| found.contains(index));
        counts.then_some(found)
    }

    /// The name of the zone at a place in the camera's list.
    pub(super) fn name(&self, index: usize) -> Option<&Arc<str>> {
        self.known.get(index).map(|zone| &zone.name)
    }
}

#[cfg(test)]
mod tests {
    use super::{Zone, ZoneTest, Zones};
    use crate::alerts::{AlertError, PictureBox, Polygon};

    fn rectangle(left: f64, top: f64, right: f64, bottom: f64) -> Polygon {
        Polygon::new(vec![[left, top], [right, top], [right, bottom], [left, bottom]]).unwrap()
    }

    fn known() -> Vec<Zone> {
        vec![
            Zone::new("lawn", rectangle(0.0, 0.5, 1.0, 1.0)).unwrap(),
            Zone::new("left", rectangle(0.0, 0.0, 0.5, 1.0)).unwrap(),
        ]
    }

    /// Stands in the right half, on the lawn by its feet alone.
    fn standing() -> PictureBox {
        PictureBox::from_pixels([60.0, 0.0, 70.0, 60.0], 100, 100).unwrap()
    }

    #[test]
    fn the_default_asks_where_the_feet_are() {
        let lawn = rectangle(0.0, 0.5, 1.0, 1.0);
        assert!(ZoneTest::default().passes(&lawn, &standing()));
        assert!(!ZoneTest::Centre.passes(&lawn, &standing()));
        // 10 of 60 rows are on it.
        assert!(ZoneTest::share(0.16).unwrap().passes(&lawn, &standing()));
        assert!(!ZoneTest::share(0.17).unwrap().passes(&lawn, &standing()));
    }

    #[test]
    fn a_box_all_inside_has_a_share_of_1() {
        let slanted = Polygon::new(vec![[0.0, 0.0], [1.0, 0.0], [0.9, 1.0], [0.1, 1.0]]).unwrap();
        let region = PictureBox::from_pixels([33.0, 33.0, 66.0, 77.0], 100, 100).unwrap();
        assert!(ZoneTest::share(1.0).unwrap().passes(&slanted, &region));
    }

    #[test]
    fn a_share_of_nothing_is_no_test() {
        assert_eq!(ZoneTest::share(0.0), Err(AlertError::NoShare));
        assert_eq!(ZoneTest::share(1.5), Err(AlertError::NotAFraction { value: 1.5 }));
    }

    #[test]
    fn an_alert_without_zones_takes_regions_anywhere_and_says_where_they_are() {
        let anywhere = Zones::new(known(), &[]).unwrap();
        assert_eq!(anywhere.of(&standing(), ZoneTest::BottomCentre), Some(vec![0]));
        assert_eq!(anywhere.of(&standing(), ZoneTest::Centre), Some(vec![]));
    }

    #[test]
    fn one_of_the_zones_that_are_asked_for_is_enough() {
        let of = |required: &[&str]| {
            Zones::new(known(), required).unwrap().of(&standing(), ZoneTest::BottomCentre)
        };
        assert_eq!(of(&["left"]), None);
        assert_eq!(of(&["left", "lawn"]), Some(vec![0]));
    }

    #[test]
    fn zones_that_are_not_there_or_there_twice_are_refused() {
        assert_eq!(
            Zones::new(known(), &["lawn", "roof"]),
            Err(AlertError::UnknownZone { name: "roof".to_owned() })
        );
        let twice = [known(), known()].concat();
        assert_eq!(Zones::new(twice, &[]), Err(AlertError::SecondZoneOfName { name: "lawn".to_owned() }));
        assert_eq!(Zone::new(" ", rectangle(0.0, 0.0, 1.0, 1.0)), Err(AlertError::UnnamedZone));
    }
}
