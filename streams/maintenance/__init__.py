"""Tools on topics and state: doctor, rebuild, repartition."""
