-- INTERSECT and EXCEPT count rows, and are no joins
EXPLAIN CHANGELOG_MODE SELECT seller FROM auction INTERSECT ALL SELECT bidder FROM bid EXCEPT SELECT id FROM person;
