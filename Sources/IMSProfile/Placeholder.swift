enum IMSProfilePlaceholder {}
